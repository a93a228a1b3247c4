/**
 * Runs all work concurrently. The first failure aborts the rest and is thrown after everything has ended, so that
 * nothing keeps running in the background.
 */
export async function allOrAbort<T>(
  signal: AbortSignal | undefined,
  start: (signal: AbortSignal) => Promise<T>[],
): Promise<T[]> {
  const stop = new AbortController();
  const joined = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  let first: { error: unknown } | undefined;
  const watched = start(joined).map((work) =>
    work.catch((error: unknown) => {
      first ??= { error };
      stop.abort(error);
      throw error;
    }),
  );
  const settled = await Promise.allSettled(watched);
  if (first) throw first.error;
  return settled.map((result) => (result as PromiseFulfilledResult<T>).value);
}
