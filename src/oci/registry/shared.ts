import { abortable } from './abortable.js';

/** Work that several may wait for. An abort ends one's own waiting, and with the last one's the work itself. */
export class Shared<T> {
  readonly #abandoned = new AbortController();
  readonly #result: Promise<T>;
  #isSettled = false;
  #waiting = 0;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(this.#abandoned.signal).finally(() => {
      this.#isSettled = true;
    });
    // Notifies the request if one is still waiting.
    this.#result.catch(() => undefined);
  }

  /** True where it was given up: who comes later needs another. */
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

  /** Fulfilled when nothing of it is under way any more, however it ended. */
  async ended(): Promise<void> {
    await this.#result.catch(() => undefined);
  }
}
