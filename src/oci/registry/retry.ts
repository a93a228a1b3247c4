import { setTimeout as sleep } from 'node:timers/promises';
import { PromoterError, RegistryError, TransportError } from '../errors.js';
import { drain } from './body.js';
import { parseRetryAfter } from './error-from-answer.js';
import type { Transport, TransportRequest } from './transport.js';
import { isUnsent } from './unsent.js';

/** Tries of one request, the first included. Option `retry.attempts` */
const REQUEST_TRIES = 5;
/** The first pause; doubled each time, and cut by up to a half at random. Option `retry.baseMs` */
export const RETRY_BASE_MS = 200;
/** The longest pause that we choose. */
const RETRY_CAP_MS = 10_000;
/** The longest Retry-After that is waited for; a longer one is the caller's: `TOOMANYREQUESTS`. Option `retry.maxRetryAfterMs` */
export const RETRY_AFTER_MS = 30_000;

export interface RetryOptions {
  /** Tries of one request, the first included; 1: never again. */
  attempts?: number;
  /** The first pause, in milliseconds; 0: none. */
  baseMs?: number;
  /** The longest Retry-After, in milliseconds, that is waited for. */
  maxRetryAfterMs?: number;
  /** Whether a request that nobody answered in time is sent again. Default: true. False: the caller backs off, and can say so. */
  unanswered?: boolean;
}

/** True if a whole timeout went by without a word of the other side. */
function isUnanswered(error: PromoterError): boolean {
  if (!(error instanceof TransportError)) return false;
  const { causes } = error.details;
  const isConnectTimeout = Array.isArray(causes) && causes.includes('UND_ERR_CONNECT_TIMEOUT');
  return error.code === 'TIMEOUT' || (error.code === 'CONNECT_FAILED' && isConnectTimeout);
}

const REPEATED_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

/** The pause before the next try, in milliseconds: doubled each time, and cut by up to a half at random. */
export function pauseMs(attempt: number, baseMs: number): number {
  const whole = Math.min(RETRY_CAP_MS, baseMs * 2 ** (attempt - 1));
  return whole * (0.5 + Math.random() / 2);
}

/** Waits, unless aborted: then throws the signal's reason. */
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
 * Sends again what failed in passing: with jitter and growing pauses, none shorter than Retry-After, up to a bound. What asks to wait longer is handed
 * on as it came (an answer 429, a thrown `TOOMANYREQUESTS`), so that the caller can come back later.
 */
export function retry(inner: Transport, options: RetryOptions = {}): Transport {
  const attempts = options.attempts ?? REQUEST_TRIES;
  const baseMs = options.baseMs ?? RETRY_BASE_MS;
  const maxRetryAfterMs = options.maxRetryAfterMs ?? RETRY_AFTER_MS;

  /** undefined: not again. */
  const pauseFor = (attempt: number, retryAfterMs: number | undefined): number | undefined => {
    if (attempt >= attempts) return undefined;
    if (retryAfterMs === undefined) return pauseMs(attempt, baseMs);
    if (retryAfterMs > maxRetryAfterMs) return undefined;
    // Jitter on top, never below: all who were told the same time would otherwise come back as one. And not sooner than unasked: 0,
    // or a date that has passed, would be no pause at all.
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
          // 429 says that nothing was done, so that even what can't be repeated otherwise can.
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
