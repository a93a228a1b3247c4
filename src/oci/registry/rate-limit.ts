import { RegistryError } from '../errors.js';
import { parseRetryAfter } from './error-from-answer.js';
import type { ReportedRates } from './reported-rates.js';
import { sleepMs, RETRY_AFTER_MS } from './retry.js';
import type { Transport, TransportRequest } from './transport.js';
import { redactUrl } from './urls.js';

/** What registries count apart. A listing of referrers counts as `referrers` and as `read`. */
export type RequestCategory = 'read' | 'write' | 'delete' | 'referrers' | 'token';

/** Requests a minute; a category that is left out has no limit. */
export type RateLimits = Partial<Record<RequestCategory, number>>;

/** What ACR allows one identity in its smaller tiers; the larger one allows twice as much. */
const ACR_RATE_LIMITS: RateLimits = { read: 5000, write: 1000, delete: 500, referrers: 250, token: 10_000 };

const ACR_HOST = /\.azurecr\.(?:io|cn|us)$/;

export function defaultRateLimits(host: string): RateLimits {
  return ACR_HOST.test(host) ? ACR_RATE_LIMITS : {};
}

const MINUTE_MS = 60_000;

/** At most `perMinute` in any sixty seconds, first come, first served. */
class Window {
  readonly #times: Float64Array;
  #next = 0;

  constructor(perMinute: number) {
    this.#times = new Float64Array(Math.max(1, Math.floor(perMinute))).fill(Number.NEGATIVE_INFINITY);
  }

  /** Takes a place and says how many milliseconds from now it is. */
  take(nowMs: number): number {
    const index = this.#next % this.#times.length;
    this.#next += 1;
    const atMs = Math.max(nowMs, (this.#times[index] ?? 0) + MINUTE_MS);
    this.#times[index] = atMs;
    return atMs - nowMs;
  }
}

function categoriesOf(request: TransportRequest, url: URL): RequestCategory[] {
  if (url.pathname.startsWith('/oauth2/')) return ['token'];
  if (request.method === 'DELETE') return ['delete'];
  if (request.method !== 'GET' && request.method !== 'HEAD') return ['write'];
  return /\/referrers\/[^/]+$/.test(url.pathname) ? ['read', 'referrers'] : ['read'];
}

/**
 * Keeps within what a registry allows, for each host and category; and where one answers 429 with a Retry-After, holds back
 * everything of that category until then, so that one refusal doesn't become a hundred.
 */
export function limitRate(
  inner: Transport,
  options: { limitsFor?: (host: string) => RateLimits; maxRetryAfterMs?: number; reported?: ReportedRates } = {},
): Transport {
  const limitsFor = options.limitsFor ?? defaultRateLimits;
  const maxPauseMs = options.maxRetryAfterMs ?? RETRY_AFTER_MS;
  const windows = new Map<string, Window>();
  const pausedUntil = new Map<string, number>();

  return {
    send: async (request) => {
      const url = new URL(request.url);
      const categories = categoriesOf(request, url);
      const last = categories.at(-1) ?? 'read';
      const lane = `${url.host} ${last}`;
      const limits = limitsFor(url.host);
      const nowMs = performance.now();
      const paused = (pausedUntil.get(lane) ?? 0) - nowMs;
      if (paused > maxPauseMs) {
        throw new RegistryError(
          `${redactUrl(request.url)}: the registry asked to come back in ${Math.ceil(paused / 1000)} s`,
          {
            method: request.method,
            url: redactUrl(request.url),
            status: 429,
            registryCodes: [],
            retryAfterMs: Math.ceil(paused),
          },
          { code: 'TOOMANYREQUESTS' },
        );
      }
      let waitMs = paused > 0 ? paused + Math.random() * Math.min(1000, paused / 10) : 0;
      for (const category of categories) {
        const perMinute = limits[category];
        if (perMinute === undefined) continue;
        const key = `${url.host} ${category}`;
        let window = windows.get(key);
        if (window === undefined) {
          window = new Window(perMinute);
          windows.set(key, window);
        }
        waitMs = Math.max(waitMs, window.take(nowMs));
      }
      if (waitMs > 0) await sleepMs(waitMs, request.signal);
      const response = await inner.send(request);
      options.reported?.note(url.host, response.headers);
      if (response.status === 429) {
        const retryAfterMs = parseRetryAfter(response.headers['retry-after']);
        // Another that was told sooner may have been told more.
        if (retryAfterMs !== undefined)
          pausedUntil.set(lane, Math.max(pausedUntil.get(lane) ?? 0, performance.now() + retryAfterMs));
      }
      return response;
    },
  };
}
