/**
 * Default maximum of concurrent requests on each side while planning, copying and verifying. Option: `concurrency`,
 * `requestConcurrency`.
 */
export const REQUESTS_AT_ONCE = 32;
/** Gives back what was taken. Further calls do nothing. */
export type Release = () => void;

interface Waiting {
  amount: number;
  grant: () => void;
  refuse: (reason: unknown) => void;
}

/**
 * Limits a shared resource such as requests or bytes. First come, first served, so that a large request is never
 * overtaken by small ones.
 */
export class Budget {
  readonly #total: number;
  #free: number;
  readonly #queue = new Set<Waiting>();
  /** Waiting callers by signal. Thousands may wait under one signal, so they share one listener. */
  readonly #bySignal = new WeakMap<AbortSignal, Set<Waiting>>();

  /** @param total at least 1 */
  constructor(total: number) {
    this.#total = Math.max(1, Math.floor(total));
    this.#free = this.#total;
  }

  /** Waits until `amount` is free; more than the total counts as the total. Rejects with the signal's reason. */
  async take(amount: number, signal?: AbortSignal): Promise<Release> {
    signal?.throwIfAborted();
    const wanted = Math.min(Math.max(0, amount), this.#total);
    if (this.#queue.size > 0 || wanted > this.#free) await this.#wait(wanted, signal);
    else this.#free -= wanted;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#free += wanted;
      this.#serve();
    };
  }

  /** Runs `work` while holding one unit. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.take(1, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { amount, grant: resolve, refuse: reject };
      this.#queue.add(waiting);
      if (!signal) return;
      const group = this.#groupOf(signal);
      group.add(waiting);
      waiting.grant = () => {
        group.delete(waiting);
        resolve();
      };
    });
  }

  #groupOf(signal: AbortSignal): Set<Waiting> {
    const known = this.#bySignal.get(signal);
    if (known) return known;
    const group = new Set<Waiting>();
    this.#bySignal.set(signal, group);
    const refuseAll = (): void => {
      this.#bySignal.delete(signal);
      for (const waiting of group) {
        this.#queue.delete(waiting);
        waiting.refuse(signal.reason);
      }
      this.#serve();
    };
    signal.addEventListener('abort', refuseAll, { once: true });
    return group;
  }

  #serve(): void {
    for (const next of this.#queue) {
      if (next.amount > this.#free) return;
      this.#queue.delete(next);
      this.#free -= next.amount;
      next.grant();
    }
  }
}
