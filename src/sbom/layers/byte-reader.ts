const NOTHING = new Uint8Array(0);

/** Reads exact numbers of bytes from a stream of chunks, and skips bytes without copying. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = NOTHING;
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next bytes: at least one and at most `most`. Undefined at the end. They are valid until the next call. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#offset === this.#chunk.length) {
      const next = await this.#source.next();
      // The chunk before may be gone: its sender has the memory again.
      this.#chunk = next.done === true ? NOTHING : next.value;
      this.#offset = 0;
      if (next.done === true) return undefined;
    }
    const bytes = this.#chunk.subarray(this.#offset, this.#offset + most);
    this.#offset += bytes.length;
    return bytes;
  }

  /** The next `count` bytes if they are there and no chunk has to be waited for. Valid until the next call. */
  takeNow(count: number): Uint8Array | undefined {
    if (this.#chunk.length - this.#offset < count) return undefined;
    this.#offset += count;
    return this.#chunk.subarray(this.#offset - count, this.#offset);
  }

  /** Reads `count` bytes, or fewer if the stream ends. */
  async take(count: number): Promise<Uint8Array> {
    const first = await this.some(count);
    if (first === undefined) return new Uint8Array(0);
    if (first.length === count) return first;
    const all = new Uint8Array(count);
    all.set(first);
    let filled = first.length;
    while (filled < count) {
      const more = await this.some(count - filled);
      if (more === undefined) return all.subarray(0, filled);
      all.set(more, filled);
      filled += more.length;
    }
    return all;
  }

  /**
   * Skips `count` bytes.
   * @returns the number of bytes skipped
   */
  async skip(count: number): Promise<number> {
    const isHere = this.#chunk.length - this.#offset >= count;
    if (isHere) this.#offset += count;
    let left = isHere ? 0 : count;
    while (left > 0) {
      const passed = await this.some(left);
      if (passed === undefined) break;
      left -= passed.length;
    }
    return count - left;
  }

  /** Closes the source if it was not read to its end. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
