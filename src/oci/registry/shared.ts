import { abortable } from './abortable.js';

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
