/** Signature of the header before an entry's content. */
export const LOCAL = 0x04034b50;
/** Signature of an entry of the central directory. */
export const CENTRAL = 0x02014b50;
/** Signature of the record at the end of a zip archive. */
export const END = 0x06054b50;
const HEADERS = new Set([LOCAL, CENTRAL, END]);
const [P, K] = [0x50, 0x4b] as const;
const DESCRIPTOR = Buffer.from('PK\x07\x08', 'latin1');
const MARK = Buffer.from('PK', 'latin1');
/** A data descriptor: signature, CRC-32 and two sizes of 32 or 64 bits. */
const [SHORT_DESCRIPTOR, LONGEST_DESCRIPTOR] = [16, 24] as const;

/** Reads an archive forward, in a window that is as long as the next structure. */
export class ZipInput {
  readonly #source: AsyncIterator<Uint8Array>;
  #window: Buffer = Buffer.alloc(0);
  #at = 0;
  #position = 0;

  /** @param source pieces, each valid until the next is asked for */
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Offset of the next byte in the archive. */
  get position(): number {
    return this.#position;
  }

  /** The bytes that are there, valid until the next `fill`. */
  get bytes(): Buffer {
    return this.#window.subarray(this.#at);
  }

  advance(count: number): void {
    this.#at += count;
    this.#position += count;
  }

  /** Makes at least `count` bytes available. @returns false if the archive ends before */
  async fill(count: number): Promise<boolean> {
    let length = this.#window.length - this.#at;
    if (length >= count) return true;
    const pieces: Buffer[] = length === 0 ? [] : [Buffer.from(this.bytes)];
    while (length < count) {
      const next = await this.#source.next();
      if (next.done === true) break;
      const { buffer, byteOffset, byteLength } = next.value;
      const piece = Buffer.from(buffer, byteOffset, byteLength);
      length += byteLength;
      pieces.push(length < count ? Buffer.from(piece) : piece);
    }
    this.#window = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    this.#at = 0;
    return length >= count;
  }

  /** Moves to the next header. @returns its signature, or undefined if there is none up to the end */
  async seekHeader(): Promise<number | undefined> {
    while (await this.fill(4)) {
      const window = this.#window;
      const last = window.length - 4;
      let at = this.#at;
      while (at <= last && !(window[at] === P && window[at + 1] === K && HEADERS.has(window.readUInt32LE(at)))) at += 1;
      this.advance(at - this.#at);
      if (at <= last) return window.readUInt32LE(at);
    }
    return undefined;
  }

  /** Reads to the end. @param accept called with the number of bytes so far */
  async rest(accept: (length: number) => void): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let length = 0; await this.fill(1);) {
      const { bytes } = this;
      length += bytes.length;
      accept(length);
      pieces.push(Buffer.from(bytes));
      this.advance(bytes.length);
    }
    return Buffer.concat(pieces);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

/** The content of an entry as the archive has it, mostly compressed. */
export class EntryContent {
  readonly #input: ZipInput;
  #left: number | undefined;
  #length = 0;
  #isOver = false;

  /** @param size undefined: a data descriptor behind the content has it */
  constructor(input: ZipInput, size: number | undefined) {
    this.#input = input;
    this.#left = size;
  }

  /** Number of bytes that were read. */
  get length(): number {
    return this.#length;
  }

  /** The next piece, valid until the next call; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    if (this.#left === undefined) return this.#isOver ? undefined : await this.#nextBeforeDescriptor();
    if (this.#left === 0 || !(await this.#input.fill(1))) return undefined;
    const piece = this.#input.bytes.subarray(0, this.#left);
    this.#left -= piece.length;
    return this.#take(piece);
  }

  /** Skips what was not read. */
  async drain(): Promise<void> {
    while ((await this.next()) !== undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let piece = await this.next(); piece !== undefined; piece = await this.next()) yield piece;
  }

  #take(piece: Buffer): Buffer {
    this.#length += piece.length;
    this.#input.advance(piece.length);
    return piece;
  }

  /**
   * The content ends at a descriptor that has its size. Content that forges one ends early here, and then differs from
   * the central directory.
   */
  async #nextBeforeDescriptor(): Promise<Buffer | undefined> {
    const hasMore = await this.#input.fill(LONGEST_DESCRIPTOR);
    const { bytes } = this.#input;
    // A descriptor that reaches behind the window is looked at again in the next one.
    const end = hasMore ? bytes.length - LONGEST_DESCRIPTOR + 1 : bytes.length;
    let found = bytes.indexOf(DESCRIPTOR);
    while (found >= 0 && found < end && !this.#isEnd(bytes, found)) found = bytes.indexOf(DESCRIPTOR, found + 1);
    const taken = found < 0 ? end : Math.min(found, end);
    if (taken > 0) return this.#take(bytes.subarray(0, taken));
    this.#isOver = true;
    if (found < 0) return undefined;
    const isLong = bytes.indexOf(MARK, SHORT_DESCRIPTOR) === LONGEST_DESCRIPTOR;
    this.#input.advance(isLong ? LONGEST_DESCRIPTOR : SHORT_DESCRIPTOR);
    return undefined;
  }

  #isEnd(bytes: Buffer, at: number): boolean {
    return bytes.length >= at + SHORT_DESCRIPTOR && bytes.readUInt32LE(at + 8) === (this.#length + at) % 2 ** 32;
  }
}
