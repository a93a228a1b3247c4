const NOTHING = Buffer.alloc(0);

/**
 * Reads a stream of pieces forward, in a window that is one piece of it. Archives have many small entries, so whatever is
 * in the window is read without waiting.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  /** The bytes that are there. Those from {@link ByteReader.at} on are not read yet. Valid until the next `fill`. */
  window: Buffer = NOTHING;
  /** Where the next byte is in the window. */
  at = 0;
  /** True if nothing follows the window. */
  hasEnded = false;
  /** What is not read of the last piece, from its place in the window on. */
  #piece: Buffer = NOTHING;
  /** Bytes of the window from before the piece. With any of them, the window has only the start of the piece. */
  #before = 0;
  /** Offset of the window in the stream. */
  #base = 0;

  /** @param source pieces, each valid until the next is asked for */
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Offset of the next byte in the stream. */
  get position(): number {
    return this.#base + this.at;
  }

  /** Number of bytes that are there. */
  get available(): number {
    return this.window.length - this.at;
  }

  /** Makes at least `count` bytes available. @returns false if the stream ends before */
  async fill(count: number): Promise<boolean> {
    if (this.available >= count) return true;
    // A view of the piece would be of no use, not even an empty one: its memory goes to another thread.
    const before = this.at < this.#before ? [this.window.subarray(this.at, this.#before)] : [];
    let piece = this.#piece.subarray(Math.max(0, this.at - this.#before));
    let length = Math.max(0, this.#before - this.at);
    while (length + piece.length < count && !this.hasEnded) {
      before.push(Buffer.from(piece));
      length += piece.length;
      const next = await this.#source.next();
      this.hasEnded = next.done === true;
      if (next.done === true) piece = NOTHING;
      else piece = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
    }
    this.#base = this.position;
    this.at = 0;
    this.#piece = piece;
    this.#before = length;
    this.window = length === 0 ? piece : Buffer.concat([...before, piece.subarray(0, count)]);
    return this.window.length >= count;
  }

  /** The next bytes, as many as are there, at most `most`. Valid until the next `fill`. */
  someHere(most: number): Buffer {
    const { window, at } = this;
    this.at = Math.min(window.length, at + most);
    return window.subarray(at, this.at);
  }

  /** The next bytes: at least one and at most `most`. Undefined at the end. They are valid until the next call. */
  async some(most: number): Promise<Buffer | undefined> {
    return this.available > 0 || (await this.fill(1)) ? this.someHere(most) : undefined;
  }

  /** Reads `count` bytes, or fewer if the stream ends. They are valid until the next call. */
  async take(count: number): Promise<Buffer> {
    await this.fill(count);
    return this.someHere(count);
  }

  /**
   * Skips `count` bytes.
   * @returns the number of bytes skipped
   */
  async skip(count: number): Promise<number> {
    let left = count;
    for (;;) {
      const passed = Math.min(left, this.available);
      this.at += passed;
      left -= passed;
      if (left === 0 || !(await this.fill(1))) return count - left;
    }
  }

  /** Closes the source if it was not read to its end. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
