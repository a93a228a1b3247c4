import { TransportError } from '../oci/index.js';

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
    throw new TransportError('TIMEOUT', `${what} did not end in ${Math.round(ms / 60_000)} min`, { cause: error });
  }
}
