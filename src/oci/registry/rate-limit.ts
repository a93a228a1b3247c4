import { RegistryError } from '../errors.js';
import { getOrMake } from '../memo.js';
import { parseRetryAfter } from './error-from-answer.js';
import { RateParts, type RateSharing, type RequestCategory } from './rate-sharing.js';
import { sleepMs, RETRY_AFTER_MS } from './retry.js';
import type { Transport, TransportRequest } from './transport.js';
import { redactUrl } from './urls.js';

/** Maximum requests per minute. A missing category has no limit. */
export type RateLimits = Partial<Record<RequestCategory, number>>;

/** ACR's limits for one identity in its smaller tiers. The larger tier allows twice as much. */
const ACR_RATE_LIMITS: RateLimits = { read: 5000, write: 1000, delete: 500, referrers: 250, token: 10_000 };

const ACR_HOST = /\.azurecr\.(?:io|cn|us)$/;

/** ACR's limits for a host of ACR; none for other hosts. */
export function defaultRateLimits(host: string): RateLimits {
  return ACR_HOST.test(host) ? ACR_RATE_LIMITS : {};
}

const MINUTE_MS = 60_000;
/** Maximum pause after one 429, in milliseconds. Then a request tries again. */
const MOST_BACKOFF_MS = 10 * 60_000;

/** Allows a number of requests in any sixty seconds. First come, first served. */
class Window {
  readonly #times: Float64Array;
  #next = 0;

  constructor(perMinute: number) {
    this.#times = new Float64Array(Math.max(1, Math.floor(perMinute))).fill(Number.NEGATIVE_INFINITY);
  }

  /**
   * Reserves the next place.
   * @param part how many places of the window this process may use
   * @returns milliseconds until the reserved place
   */
  take(nowMs: number, part: number): number {
    const { length } = this.#times;
    const places = Math.min(length, Math.max(1, Math.floor(part)));
    const before = this.#times[(this.#next + length - places) % length] ?? Number.NEGATIVE_INFINITY;
    const atMs = Math.max(nowMs, before + MINUTE_MS);
    this.#times[this.#next % length] = atMs;
    this.#next += 1;
    return atMs - nowMs;
  }
}

function categoriesOf(request: TransportRequest, url: URL): RequestCategory[] {
  if (url.pathname.startsWith('/oauth2/')) return ['token'];
  if (request.method === 'DELETE') return ['delete'];
  if (request.method !== 'GET' && request.method !== 'HEAD') return ['write'];
  return /\/referrers\/[^/]+$/.test(url.pathname) ? ['read', 'referrers'] : ['read'];
}

/** The clock of a limit, replaced in tests. */
export interface RateClock {
  nowMs(): number;
  sleepMs(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

/** Options of {@link limitRate}. */
export interface RateLimitOptions {
  limitsFor?: (host: string) => RateLimits;
  /** Maximum backoff that a request waits for. Default: RETRY_AFTER_MS. */
  maxRetryAfterMs?: number | undefined;
  /** Other processes with the same identity. Default: none. */
  sharing?: RateSharing;
  /** Default: the clock of the process. */
  clock?: RateClock;
}

function backingOff({ method, url }: TransportRequest, pausedMs: number): RegistryError {
  return new RegistryError(
    `${redactUrl(url)}: the registry asks to retry in ${Math.ceil(pausedMs / 1000)} s`,
    { method, url: redactUrl(url), status: 429, registryCodes: [], retryAfterMs: Math.ceil(pausedMs) },
    { code: 'TOOMANYREQUESTS' },
  );
}

/**
 * Limits the rate of requests for each host and category. If several processes share the identity, this process uses
 * its share. After a 429 with a Retry-After, all requests of that category wait until then, so that one refusal does
 * not become a hundred.
 */
export function limitRate(inner: Transport, options: RateLimitOptions = {}): Transport {
  const limitsFor = options.limitsFor ?? defaultRateLimits;
  const maxPauseMs = options.maxRetryAfterMs ?? RETRY_AFTER_MS;
  const clock = options.clock ?? { nowMs: () => performance.now(), sleepMs };
  const parts = new RateParts(options.sharing, () => clock.nowMs());
  const windows = new Map<string, Window>();
  const pausedUntil = new Map<string, number>();

  async function untilInPart(request: TransportRequest, host: string, categories: RequestCategory[]): Promise<void> {
    const limits = limitsFor(host);
    let waitMs = 0;
    for (const category of categories) {
      const perMinute = limits[category];
      if (perMinute === undefined) continue;
      const key = `${host} ${category}`;
      const window = getOrMake(windows, key, () => new Window(perMinute));
      waitMs = Math.max(waitMs, window.take(clock.nowMs(), parts.partOf(host, category, perMinute)));
    }
    if (waitMs > 0) await clock.sleepMs(waitMs, request.signal);
  }

  const pausedMs = (lane: string): number => (pausedUntil.get(lane) ?? 0) - clock.nowMs();

  /**
   * Waits for the end of the current backoff, and of any that started meanwhile.
   * @throws RegistryError `TOOMANYREQUESTS` if the wait exceeds `maxRetryAfterMs`
   */
  async function untilAllowed(request: TransportRequest, lane: string): Promise<void> {
    for (let waitedMs = 0; pausedMs(lane) > 0;) {
      const paused = pausedMs(lane);
      if (waitedMs + paused > maxPauseMs) throw backingOff(request, paused);
      // Jitter, so that waiting requests do not all continue at once.
      const waitMs = paused + Math.random() * Math.min(1000, paused / 10);
      await clock.sleepMs(waitMs, request.signal);
      waitedMs += waitMs;
    }
  }

  return {
    send: async (request) => {
      const url = new URL(request.url);
      const { host } = url;
      const categories = categoriesOf(request, url);
      const lane = `${host} ${categories.at(-1) ?? 'read'}`;
      await untilAllowed(request, lane);
      await untilInPart(request, host, categories);
      await untilAllowed(request, lane);
      const response = await inner.send(request);
      if (response.status === 429) {
        const retryAfterMs = Math.min(parseRetryAfter(response.headers['retry-after']) ?? 0, MOST_BACKOFF_MS);
        // An earlier answer may have demanded a longer pause.
        pausedUntil.set(lane, Math.max(pausedUntil.get(lane) ?? 0, clock.nowMs() + retryAfterMs));
      }
      return response;
    },
  };
}
