/**
 * Runs everything at once; the first failure aborts the rest, and is thrown when all of it has ended: nothing is left
 * working behind the caller's back. Nested work that waits for its own failed parts ends with the same error.
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
