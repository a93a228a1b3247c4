/** What arrives from another thread, in its order. */
export class Arriving<T> {
  readonly #items: T[] = [];
  #hasEnded = false;
  #arrived: () => void = () => {};

  /** True once nothing more will arrive. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  add(item: T): void {
    this.#items.push(item);
    this.#arrived();
  }

  end(): void {
    this.#hasEnded = true;
    this.#arrived();
  }

  /** The next item; undefined at the end. */
  async next(): Promise<T | undefined> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined || this.#hasEnded) return item;
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }
}
