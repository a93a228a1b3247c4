import { isDeepStrictEqual } from 'node:util';
import { RegistryError, TransportError } from '../../../src/oci/index.js';
import type { MemoryRepository, Shown } from '../../support/memory-repository.js';
import { REGISTRY, REPOSITORIES } from './setting.js';
import type { Simulation } from './simulation.js';

/** How a registry fails for a while. */
export interface Trouble {
  where: 'source' | 'destination' | 'everywhere';
  /**
   * 429 with a time to wait; 503; no answer in time, though what was asked for is done; the connection breaks; 403 to everything,
   * or to what writes; 404 to everything. What is `late` reads as it was when it began: always, or every other time, as from two
   * replicas.
   */
  how: 'busy' | 'down' | 'slow' | 'broken' | 'denied' | 'readonly' | 'gone' | 'stale' | 'torn';
  /** What a replica is late with; tags by default. */
  late?: Late;
  /** How many reads in turn go to one of two replicas; 1 by default. */
  turn?: number;
  /** It is over after so many requests that failed, or were told what is old, or after so long. */
  calls: number;
  seconds: number;
}

/**
 * What a replica reads as it was: tags; manifests, by tag and by digest; lists of referrers; lists of tags; all of it. `unlisted`: its
 * lists of referrers are empty.
 */
export const LATE = ['tags', 'manifests', 'referrers', 'unlisted', 'lists', 'all'] as const;
export type Late = (typeof LATE)[number];

/** Trouble for so long isn't waited for: somebody ends it. */
export const ENDLESS_SECONDS = 1_000_000;

/** Failures that are counted. */
const MOST_CALLS = 100;

interface Open extends Trouble {
  untilMs: number;
  /** What each repository held when it began, and how often something else was read since. */
  before: ReadonlyMap<MemoryRepository, Pick<Shown, 'tags' | 'manifests'>>;
  reads: number;
}

/** What a late replica of a repository shows. */
function shownLate({ late = 'tags', before }: Open, repository: MemoryRepository, there: Shown): Shown {
  // A repository that nobody had named held nothing.
  const { tags, manifests } = before.get(repository) ?? { tags: new Map(), manifests: new Map() };
  switch (late) {
    case 'tags':
      return { ...there, tags };
    case 'manifests':
      return { ...there, manifests };
    case 'referrers':
      return { ...there, referrers: manifests };
    case 'unlisted':
      return { ...there, referrers: new Map() };
    case 'lists':
      return { ...there, listed: tags };
    case 'all':
      return { tags, listed: tags, manifests, referrers: manifests };
  }
}

function isOld({ how }: Trouble): boolean {
  return how === 'stale' || how === 'torn';
}

/** What is wrong with the registries, at any request that the app makes. */
export class Troubles {
  readonly #simulation: Simulation;
  readonly #repositories = new Set<MemoryRepository>();
  #open: Open[] = [];
  /** As many of the next writes to the storage account are done, and their answers lost. */
  lostAnswers = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Whether the storage account's answer to a write is lost on its way, so that the client asks once more. */
  loseAnswer(): boolean {
    if (this.lostAnswers === 0) return false;
    this.lostAnswers -= 1;
    return true;
  }

  begin(trouble: Trouble): void {
    const before = new Map(
      [...this.#repositories].map((repository) => {
        const { tags, manifests } = repository;
        return [repository, { tags: new Map(tags), manifests: new Map(manifests) }];
      }),
    );
    this.#open.push({ ...trouble, untilMs: this.#simulation.nowMs + trouble.seconds * 1000, before, reads: 0 });
  }

  /** From here on what is read of it may be old. */
  watch(registry: string, name: string, repository: MemoryRepository): void {
    this.#repositories.add(repository);
    repository.replica = (there, read) => {
      const standing = read(there);
      const trouble = this.#find(registry, name, isOld);
      if (trouble === undefined) return standing;
      const old = read(shownLate(trouble, repository, there));
      if (isDeepStrictEqual(old, standing)) return standing;
      trouble.reads += 1;
      const turns = Math.ceil(trouble.reads / (trouble.turn ?? 1));
      if (trouble.how === 'torn' && turns % 2 === 1) return standing;
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
    this.lostAnswers = 0;
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
