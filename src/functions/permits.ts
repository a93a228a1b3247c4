/** How many pieces of work of one kind a process does at once. */
export class Permits {
  #free: number;
  #handOver: (() => void) | undefined;

  /** @param count from 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /** True while somebody waits for one. */
  get isWaitedFor(): boolean {
    return this.#handOver !== undefined;
  }

  /**
   * Takes one, or waits for the next that is given back, if nobody else waits: whoever waits keeps an activity from running.
   * @returns gives it back; undefined if there is none
   */
  async take(waitMs: number): Promise<(() => void) | undefined> {
    if (this.#free > 0) this.#free -= 1;
    else if (this.#handOver !== undefined || !(await this.#next(waitMs))) return undefined;
    return () => {
      if (this.#handOver === undefined) this.#free += 1;
      else this.#handOver();
    };
  }

  /** @returns whether it was given one in time */
  #next(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isGiven: boolean): void => {
        clearTimeout(timer);
        this.#handOver = undefined;
        resolve(isGiven);
      };
      const timer = setTimeout(() => end(false), waitMs);
      this.#handOver = () => end(true);
    });
  }
}
