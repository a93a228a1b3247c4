/**
 * Maps items with at most `limit` at once; the results keep the order of the items. The first failure stops new work
 * and is thrown after the running work has ended.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failed = false;
  const work = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const index = next;
      next += 1;
      try {
        results[index] = await map(items[index] as T);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(Math.max(limit, 1), items.length) }, work));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return results;
}

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

/** Waits for a promise that other callers wait for as well. An abort ends only this wait, not the work. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * Work that several callers wait for. An abort ends only that caller's wait. The abort of the last caller also aborts
 * the work.
 */
export class Shared<T> {
  readonly #abandoned = new AbortController();
  readonly #result: Promise<T>;
  #isSettled = false;
  #waiting = 0;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(this.#abandoned.signal).finally(() => {
      this.#isSettled = true;
    });
    // A failure is reported by `wait`.
    this.#result.catch(() => undefined);
  }

  /** True if the work was aborted. A later caller must start it again. */
  get isAbandoned(): boolean {
    return this.#abandoned.signal.aborted;
  }

  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1;
    try {
      return await abortable(this.#result, signal);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#isSettled) this.#abandoned.abort(signal?.reason);
    }
  }

  /** Resolves when the work has ended, with or without an error. */
  async ended(): Promise<void> {
    await this.#result.catch(() => undefined);
  }
}
