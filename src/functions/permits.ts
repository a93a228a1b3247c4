/** How many pieces of work of one kind a process does at once. */
export class Permits {
  #free: number;

  /** @param count from 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /** @returns gives it back; undefined if there is none */
  take(): (() => void) | undefined {
    if (this.#free === 0) return undefined;
    this.#free -= 1;
    return () => {
      this.#free += 1;
    };
  }
}
