import { TransportError } from '../oci/index.js';

/** Something as a whole has taken longer than it may, though each answer may have come in time. */
export function tookTooLong(error: unknown): error is TransportError {
  return error instanceof TransportError && error.code === 'TIMEOUT' && 'limitMs' in error.details;
}

/** Does one thing with a time of its own, so that it keeps nothing behind it waiting. @throws TransportError `TIMEOUT` */
export async function within<T>(
  signal: AbortSignal,
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const bound = AbortSignal.timeout(ms);
  try {
    return await work(AbortSignal.any([signal, bound]));
  } catch (error) {
    if (signal.aborted || !bound.aborted) throw error;
    throw new TransportError('TIMEOUT', `${what} did not end in ${Math.round(ms / 60_000)} min`, {
      cause: error,
      details: { limitMs: ms },
    });
  }
}
