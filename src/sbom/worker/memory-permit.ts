/** A layer needs much memory while another one has the permit. It is closed, and opened again with the permit. */
export class MemoryTaken extends Error {}

/** Lets one layer of an image at a time need much memory. */
export class MemoryPermit {
  #isTaken = false;
  /** True if its holder keeps it until its layer is read. */
  #isForLayer = false;
  readonly #waiting: (() => void)[] = [];

  /** Takes the permit until a layer is read. @returns ends it */
  async takeForLayer(): Promise<() => void> {
    return await this.#take(true);
  }

  /**
   * Takes the permit for a layer that is open.
   * @throws MemoryTaken if another layer has it, because nothing would be read from the connection during the wait
   */
  takeForOpenLayer(): () => void {
    if (this.#isTaken) throw new MemoryTaken();
    return this.#begin(true);
  }

  /**
   * Takes the permit for one file. The wait is short: for the file of another layer.
   * @returns ends it
   * @throws MemoryTaken if another layer has it until it is read
   */
  async takeForFile(): Promise<() => void> {
    if (this.#isTaken && this.#isForLayer) throw new MemoryTaken();
    return await this.#take(false);
  }

  async #take(isForLayer: boolean): Promise<() => void> {
    if (this.#isTaken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#begin(isForLayer);
  }

  #begin(isForLayer: boolean): () => void {
    this.#isTaken = true;
    this.#isForLayer = isForLayer;
    return () => {
      const next = this.#waiting.shift();
      // The next one has it without a moment in between.
      if (next === undefined) this.#isTaken = false;
      else next();
    };
  }
}
