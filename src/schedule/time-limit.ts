import { abortable, TransportError } from '../oci/index.js';

/** True if the time limit of {@link within} was exceeded, as opposed to the timeout of a single request. */
export function tookTooLong(error: unknown): error is TransportError {
  return error instanceof TransportError && error.code === 'TIMEOUT' && 'limitMs' in error.details;
}

/**
 * Runs `work` with a time limit, even if the work ignores its signal.
 * @throws TransportError `TIMEOUT`
 */
export async function within<T>(
  signal: AbortSignal,
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const bound = AbortSignal.timeout(ms);
  const both = AbortSignal.any([signal, bound]);
  try {
    both.throwIfAborted();
    return await abortable(work(both), both);
  } catch (error) {
    if (signal.aborted || !bound.aborted) throw error;
    throw new TransportError('TIMEOUT', `${what} did not end in ${timeText(ms)}`, {
      cause: error,
      details: { limitMs: ms },
    });
  }
}

function timeText(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}
