import { TransportError } from '../oci/index.js';

/** Something as a whole has taken longer than it may, though each answer may have come in time. */
export function tookTooLong(error: unknown): error is TransportError {
  return error instanceof TransportError && error.code === 'TIMEOUT' && 'limitMs' in error.details;
}

/**
 * Does one thing with a time of its own, so that it keeps nothing behind it waiting, also if it does not listen to its signal.
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
  let stop = (): void => undefined;
  const over = new Promise<never>((_resolve, reject) => {
    stop = () => reject(both.reason as Error);
  });
  both.addEventListener('abort', stop, { once: true });
  try {
    both.throwIfAborted();
    return await Promise.race([work(both), over]);
  } catch (error) {
    if (signal.aborted || !bound.aborted) throw error;
    throw new TransportError('TIMEOUT', `${what} did not end in ${timeText(ms)}`, {
      cause: error,
      details: { limitMs: ms },
    });
  } finally {
    both.removeEventListener('abort', stop);
  }
}

function timeText(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}
