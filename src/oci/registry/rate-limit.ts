import { RegistryError } from '../errors.js';
import { parseRetryAfter } from './error-from-answer.js';
import { RateParts, type RateSharing, type RequestCategory } from './rate-sharing.js';
import { sleepMs, RETRY_AFTER_MS } from './retry.js';
import type { Transport, TransportRequest } from './transport.js';
import { redactUrl } from './urls.js';

/** Requests a minute; a category that is left out has no limit. */
export type RateLimits = Partial<Record<RequestCategory, number>>;

/** What ACR allows one identity in its smaller tiers; the larger one allows twice as much. */
const ACR_RATE_LIMITS: RateLimits = { read: 5000, write: 1000, delete: 500, referrers: 250, token: 10_000 };

const ACR_HOST = /\.azurecr\.(?:io|cn|us)$/;

export function defaultRateLimits(host: string): RateLimits {
  return ACR_HOST.test(host) ? ACR_RATE_LIMITS : {};
}

const MINUTE_MS = 60_000;
/** The longest pause that one answer 429 causes, in milliseconds: then a request asks again. */
const MOST_BACKOFF_MS = 10 * 60_000;

/** At most so many in any sixty seconds, first come, first served. */
class Window {
  readonly #times: Float64Array;
  #next = 0;

  constructor(perMinute: number) {
    this.#times = new Float64Array(Math.max(1, Math.floor(perMinute))).fill(Number.NEGATIVE_INFINITY);
  }

  /** Takes a place. @param part of the window, for this place. @returns how many milliseconds from now it is */
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

/** Where a limit takes its time from. */
export interface RateClock {
  nowMs(): number;
  sleepMs(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export interface RateLimitOptions {
  limitsFor?: (host: string) => RateLimits;
  /** The longest backoff that a request waits for; by default RETRY_AFTER_MS. */
  maxRetryAfterMs?: number;
  /** Other processes that ask with the same identity; by default there are none. */
  sharing?: RateSharing;
  /** The process's own, by default. */
  clock?: RateClock;
}

function backingOff({ method, url }: TransportRequest, pausedMs: number): RegistryError {
  return new RegistryError(
    `${redactUrl(url)}: the registry asked to come back in ${Math.ceil(pausedMs / 1000)} s`,
    { method, url: redactUrl(url), status: 429, registryCodes: [], retryAfterMs: Math.ceil(pausedMs) },
    { code: 'TOOMANYREQUESTS' },
  );
}

/**
 * Keeps within what a registry allows, for each host and category: this process's part of it, where several ask. Where a registry
 * answers 429 with a Retry-After, everything of that category waits until then: one refusal doesn't become a hundred.
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
      const window = windows.get(key) ?? new Window(perMinute);
      windows.set(key, window);
      waitMs = Math.max(waitMs, window.take(clock.nowMs(), parts.partOf(host, category, perMinute)));
    }
    if (waitMs > 0) await clock.sleepMs(waitMs, request.signal);
  }

  const pausedMs = (lane: string): number => (pausedUntil.get(lane) ?? 0) - clock.nowMs();

  /** Waits for the end of a backoff, and of those that have begun by then. @throws RegistryError `TOOMANYREQUESTS` if that is long */
  async function untilAllowed(request: TransportRequest, lane: string): Promise<void> {
    for (let waitedMs = 0; pausedMs(lane) > 0;) {
      const paused = pausedMs(lane);
      if (waitedMs + paused > maxPauseMs) throw backingOff(request, paused);
      // All who wait would otherwise come back as one.
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
        // Another that was told sooner may have been told more.
        pausedUntil.set(lane, Math.max(pausedUntil.get(lane) ?? 0, clock.nowMs() + retryAfterMs));
      }
      return response;
    },
  };
}
