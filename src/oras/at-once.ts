/** Files that are checked, written or moved at once. */
export const FILES_AT_ONCE = 16;
/** Works on items, at most `most` at once. After a failure it starts no other item, waits for the running ones, and throws the first error. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      if (failures.length > 0) return;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(Math.max(most, 1), items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/** Work that is started one by one, at most `most` at once. */
export class Tasks {
  readonly #most: number;
  readonly #running = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Waits until fewer than `most` are running, and starts. Throws the error of an earlier one. */
  async start(work: () => Promise<void>): Promise<void> {
    if (this.#running.size >= this.#most) await Promise.race(this.#running);
    this.#throwFailure();
    const running = work()
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for all running work. */
  async end(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}
