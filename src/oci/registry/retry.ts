import { setTimeout as sleep } from 'node:timers/promises';
import { PromoterError, RegistryError, TransportError } from '../errors.js';
import { drain } from './body.js';
import { parseRetryAfter } from './error-from-answer.js';
import type { Transport, TransportRequest } from './transport.js';
import { isUnsent } from './network-error.js';

/** Maximum tries of one request, including the first. Option `retry.attempts` */
const REQUEST_TRIES = 5;
/**
 * First pause in milliseconds. It doubles with each try and is reduced by up to a half at random. Option `retry.baseMs`
 */
export const RETRY_BASE_MS = 200;
/** Maximum pause without a Retry-After, in milliseconds. */
const RETRY_CAP_MS = 10_000;
/**
 * Maximum Retry-After that is waited for, in milliseconds. A longer one is returned to the caller as `TOOMANYREQUESTS`.
 * Option `retry.maxRetryAfterMs`
 */
export const RETRY_AFTER_MS = 30_000;

/** Options of {@link retry}. */
export interface RetryOptions {
  /** Maximum tries of one request, including the first. 1 means no retry. Default: 5. */
  attempts?: number;
  /** First pause in milliseconds; 0 means none. Default: 200. */
  baseMs?: number;
  /** Maximum Retry-After that is waited for, in milliseconds. Default: 30,000. */
  maxRetryAfterMs?: number;
  /**
   * Whether a request without a response in time is retried. Default: true. False lets the caller back off and report
   * it.
   */
  unanswered?: boolean;
}

/** True if the server did not respond for the whole timeout. */
function isUnanswered(error: PromoterError): boolean {
  if (!(error instanceof TransportError)) return false;
  const { causes } = error.details;
  const isConnectTimeout = Array.isArray(causes) && causes.includes('UND_ERR_CONNECT_TIMEOUT');
  return error.code === 'TIMEOUT' || (error.code === 'CONNECT_FAILED' && isConnectTimeout);
}

const REPEATED_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

/** Pause before the next try in milliseconds: it doubles with each try and is reduced by up to a half at random. */
export function pauseMs(attempt: number, baseMs: number): number {
  const whole = Math.min(RETRY_CAP_MS, baseMs * 2 ** (attempt - 1));
  return whole * (0.5 + Math.random() / 2);
}

/**
 * Waits.
 * @throws the signal's reason if aborted
 */
export async function sleepMs(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

function mayRepeat(request: TransportRequest): boolean {
  return request.repeatable ?? (request.method !== 'POST' && request.method !== 'PATCH');
}

/**
 * Retries transient failures a limited number of times, with growing pauses and jitter, and never before the
 * Retry-After. If the server asks for a longer wait, its answer (429) or error (`TOOMANYREQUESTS`) is passed on, so
 * that the caller can retry later.
 */
export function retry(inner: Transport, options: RetryOptions = {}): Transport {
  const attempts = options.attempts ?? REQUEST_TRIES;
  const baseMs = options.baseMs ?? RETRY_BASE_MS;
  const maxRetryAfterMs = options.maxRetryAfterMs ?? RETRY_AFTER_MS;

  /** The pause before the next try, or undefined for no further try. */
  const pauseFor = (attempt: number, retryAfterMs: number | undefined): number | undefined => {
    if (attempt >= attempts) return undefined;
    if (retryAfterMs === undefined) return pauseMs(attempt, baseMs);
    if (retryAfterMs > maxRetryAfterMs) return undefined;
    // Jitter is added and never subtracted, so that clients with the same Retry-After do not all return at once. The
    // usual pause is the minimum, because Retry-After may be 0 or a date in the past.
    return Math.max(retryAfterMs + Math.random() * Math.min(1000, retryAfterMs / 10), pauseMs(attempt, baseMs));
  };
  return {
    send: async (request) => {
      const repeatable = mayRepeat(request);
      for (let attempt = 1; ; attempt += 1) {
        let pause: number | undefined;
        request.onTry?.();
        try {
          const response = await inner.send({ ...request, attempt });
          // After a 429 nothing was done, so any request can be repeated.
          if (!REPEATED_STATUSES.has(response.status) || !(repeatable || response.status === 429)) return response;
          pause = pauseFor(attempt, parseRetryAfter(response.headers['retry-after']));
          if (pause === undefined) return response;
          await drain(response);
        } catch (error) {
          request.signal?.throwIfAborted();
          if (!(error instanceof PromoterError) || !error.transient) throw error;
          if (!repeatable && !isUnsent(error)) throw error;
          if (options.unanswered === false && isUnanswered(error)) throw error;
          pause = pauseFor(attempt, error instanceof RegistryError ? error.info.retryAfterMs : undefined);
          if (pause === undefined) throw error;
        }
        await sleepMs(pause, request.signal);
      }
    },
  };
}
