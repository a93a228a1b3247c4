import { RegistryError, TransportError } from '../../../src/oci/index.js';
import { REGISTRY, REPOSITORIES } from './setting.js';
import type { Simulation } from './simulation.js';

/** How a registry fails for a while. */
export interface Trouble {
  where: 'source' | 'destination' | 'everywhere';
  /**
   * 429 with a time to wait; 503; no answer in time, though what was asked for is done; the connection breaks; 403 to everything,
   * or to what writes; 404 to everything.
   */
  how: 'busy' | 'down' | 'slow' | 'broken' | 'denied' | 'readonly' | 'gone';
  /** It is over after so many requests that failed, or after so long. */
  calls: number;
  seconds: number;
}

/** Trouble for so long isn't waited for: somebody ends it. */
export const ENDLESS_SECONDS = 1_000_000;

/** Failures that are counted. */
const MOST_CALLS = 100;

interface Open extends Trouble {
  untilMs: number;
}

/** What is wrong with the registries, at any request that the app makes. */
export class Troubles {
  readonly #simulation: Simulation;
  #open: Open[] = [];

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  begin(trouble: Trouble): void {
    this.#open.push({ ...trouble, untilMs: this.#simulation.nowMs + trouble.seconds * 1000 });
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
    this.#open = this.#open.filter(({ calls, untilMs }) => calls > 0 && untilMs > this.#simulation.nowMs);
    const side = isSource(registry, repository) ? 'source' : 'destination';
    const trouble = this.#open.find(
      ({ where, how }) => (where === 'everywhere' || where === side) && (writes || how !== 'readonly'),
    );
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
  }
}
