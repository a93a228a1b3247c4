import { PromoterError } from '../errors.js';

/** What registries count apart. A listing of referrers counts as `referrers` and as `read`. */
export type RequestCategory = 'read' | 'write' | 'delete' | 'referrers' | 'token';

/** Knows how many processes of one identity ask a registry: they divide what it allows. What it throws delays no request. */
export interface RateSharing {
  /**
   * Says that this process asks `host` for much of this category.
   * @returns the processes that have said so in the last {@link ACTIVE_MS}, this one included
   */
  join(host: string, category: RequestCategory): Promise<number>;
}

/** How long the row of a process counts after it was written, and how long a process keeps its part of the limit; in milliseconds. */
export const ACTIVE_MS = 90_000;
/** It says so after each tenth of its part of a minute's requests, and after so many at least. */
const JOIN_PART = 10;
const LEAST_REQUESTS = 10;

interface Lane {
  processes: number;
  toldAtMs: number;
  requests: number;
  isJoining: boolean;
}

/** This process's part of what registries allow. */
export class RateParts {
  readonly #sharing: RateSharing | undefined;
  readonly #nowMs: () => number;
  readonly #lanes = new Map<string, Lane>();

  constructor(sharing: RateSharing | undefined, nowMs: () => number) {
    this.#sharing = sharing;
    this.#nowMs = nowMs;
  }

  /** Counts a request that is about to be made. @returns requests a minute that this process may make of it */
  partOf(host: string, category: RequestCategory, perMinute: number): number {
    if (this.#sharing === undefined) return perMinute;
    const key = `${host} ${category}`;
    const lane = this.#lanes.get(key) ?? { processes: 1, toldAtMs: -Infinity, requests: 0, isJoining: false };
    this.#lanes.set(key, lane);
    if (this.#nowMs() - lane.toldAtMs > ACTIVE_MS) lane.processes = 1;
    const part = perMinute / lane.processes;
    lane.requests += 1;
    if (!lane.isJoining && lane.requests >= Math.max(LEAST_REQUESTS, part / JOIN_PART)) {
      void this.#join(this.#sharing, lane, host, category);
    }
    return part;
  }

  async #join(sharing: RateSharing, lane: Lane, host: string, category: RequestCategory): Promise<void> {
    lane.isJoining = true;
    lane.requests = 0;
    try {
      lane.processes = Math.max(1, await sharing.join(host, category));
      lane.toldAtMs = this.#nowMs();
    } catch (error) {
      // Storage that is down: what was told last counts for a while, and then all of it.
      if (!(error instanceof PromoterError)) process.emitWarning(error instanceof Error ? error : String(error));
    } finally {
      lane.isJoining = false;
    }
  }
}
