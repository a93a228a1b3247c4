import { RegistryError, TransportError, type Digest } from '../../../src/oci/index.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { REGISTRY, REPOSITORIES } from './setting.js';
import type { Simulation } from './simulation.js';

/** How a registry fails for a while. */
export interface Trouble {
  where: 'source' | 'destination' | 'everywhere';
  /**
   * 429 with a time to wait; 503; no answer in time, though what was asked for is done; the connection breaks; 403 to everything,
   * or to what writes; 404 to everything. Tags read as they were when it began: always, or every other time, as from two replicas.
   */
  how: 'busy' | 'down' | 'slow' | 'broken' | 'denied' | 'readonly' | 'gone' | 'stale' | 'torn';
  /** It is over after so many requests that failed, or were told what is old, or after so long. */
  calls: number;
  seconds: number;
}

/** Trouble for so long isn't waited for: somebody ends it. */
export const ENDLESS_SECONDS = 1_000_000;

/** Failures that are counted. */
const MOST_CALLS = 100;

interface Open extends Trouble {
  untilMs: number;
  /** Where what is read is old: the tags of each repository when it began, and how often they were read since. */
  tags: ReadonlyMap<MemoryRepository, ReadonlyMap<string, Digest>>;
  reads: number;
}

function isOld({ how }: Trouble): boolean {
  return how === 'stale' || how === 'torn';
}

/** What is wrong with the registries, at any request that the app makes. */
export class Troubles {
  readonly #simulation: Simulation;
  readonly #repositories = new Set<MemoryRepository>();
  #open: Open[] = [];

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  begin(trouble: Trouble): void {
    const tags = new Map([...this.#repositories].map((repository) => [repository, new Map(repository.tags)]));
    this.#open.push({ ...trouble, untilMs: this.#simulation.nowMs + trouble.seconds * 1000, tags, reads: 0 });
  }

  /** From here on its tags may read as they were. */
  watch(registry: string, name: string, repository: MemoryRepository): void {
    this.#repositories.add(repository);
    repository.shows = (tag, standing) => {
      const trouble = this.#find(registry, name, isOld);
      if (trouble === undefined) return standing;
      const old = trouble.tags.get(repository)?.get(tag);
      if (old === standing) return standing;
      trouble.reads += 1;
      if (trouble.how === 'torn' && trouble.reads % 2 === 1) return standing;
      trouble.calls -= 1;
      return old;
    };
  }

  #find(registry: string, repository: string | undefined, is: (trouble: Trouble) => boolean): Open | undefined {
    this.#open = this.#open.filter(({ calls, untilMs }) => calls > 0 && untilMs > this.#simulation.nowMs);
    const side = isSource(registry, repository) ? 'source' : 'destination';
    return this.#open.find((trouble) => (trouble.where === 'everywhere' || trouble.where === side) && is(trouble));
  }

  end(): void {
    this.#open = [];
  }

  /** What would never be over is. */
  endEndless(): void {
    this.#open = this.#open.filter(({ calls, seconds }) => seconds < ENDLESS_SECONDS || calls <= MOST_CALLS);
  }

  /** A request, if nothing is wrong. @param repository undefined: it is to the registry as a whole */
  async through<T>(
    { registry, repository }: { registry: string; repository?: string },
    writes: boolean,
    work: () => T | Promise<T>,
  ): Promise<T> {
    const trouble = this.#find(registry, repository, (each) => !isOld(each) && (writes || each.how !== 'readonly'));
    if (trouble === undefined) return work();
    trouble.calls -= 1;
    if (trouble.how === 'slow' && writes) await work();
    throw errorOf(trouble, `${registry}/v2/${repository ?? ''}`, writes);
  }
}

function isSource(registry: string, repository?: string): boolean {
  return registry === REGISTRY && (repository === undefined || REPOSITORIES.some((name) => name === repository));
}

function errorOf({ how }: Trouble, at: string, writes: boolean): Error {
  const answer = (status: number, code: string, retryAfterMs?: number): RegistryError =>
    new RegistryError(`${at}: ${code}`, {
      method: writes ? 'PUT' : 'GET',
      url: `https://${at}`,
      status,
      registryCodes: [code],
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  switch (how) {
    case 'busy':
      return answer(429, 'TOOMANYREQUESTS', 20_000);
    case 'down':
      return answer(503, 'UNAVAILABLE');
    case 'slow':
      return new TransportError('TIMEOUT', `${at}: no answer in time`);
    case 'broken':
      return new TransportError('CONNECTION_CLOSED', `${at}: the connection broke`);
    case 'denied':
    case 'readonly':
      return answer(403, 'DENIED');
    case 'gone':
      return answer(404, 'NAME_UNKNOWN');
    case 'stale':
    case 'torn':
      throw new Error(`${how} is no error`);
  }
}
