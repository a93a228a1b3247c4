import { PromoterError } from '../errors.js';

/** Categories that registries limit separately. Listing referrers counts as `referrers` and as `read`. */
export type RequestCategory = 'read' | 'write' | 'delete' | 'referrers' | 'token';

/**
 * Counts the processes of one identity that use a registry, so that they divide its limits. An error here delays no
 * request.
 */
export interface RateSharing {
  /**
   * Reports that this process sends many requests of this category to `host`.
   * @returns the number of processes that reported so in the last {@link ACTIVE_MS}, including this one
   */
  join(host: string, category: RequestCategory): Promise<number>;
}

/** Milliseconds for which a process counts as active after its report, and for which the result of `join` is used. */
export const ACTIVE_MS = 90_000;
/** A process reports after each tenth of its share of a minute's requests, but not before this many requests. */
const JOIN_PART = 10;
const LEAST_REQUESTS = 10;

interface Lane {
  processes: number;
  toldAtMs: number;
  requests: number;
  isJoining: boolean;
}

/** This process's share of the limits of registries. */
export class RateParts {
  readonly #sharing: RateSharing | undefined;
  readonly #nowMs: () => number;
  readonly #lanes = new Map<string, Lane>();

  constructor(sharing: RateSharing | undefined, nowMs: () => number) {
    this.#sharing = sharing;
    this.#nowMs = nowMs;
  }

  /**
   * Counts a request.
   * @returns the requests per minute that this process may send
   */
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
      // If storage is down, the last result is used until it expires. After that, this process uses the whole limit.
      if (!(error instanceof PromoterError)) process.emitWarning(error instanceof Error ? error : String(error));
    } finally {
      lane.isJoining = false;
    }
  }
}
