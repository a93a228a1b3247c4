import { ByteReader } from '../layers/byte-reader.js';

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
/** The longest descriptor and the start of the header behind it. */
const DESCRIPTOR_AND_MARK = LONGEST_DESCRIPTOR + MARK.length;

/** Reads an archive forward. */
export class ZipInput extends ByteReader {
  /** Moves to the next header in the window. @returns its signature, or undefined if there is none */
  seekHeaderHere(): number | undefined {
    const { window } = this;
    const last = window.length - 4;
    let { at } = this;
    while (at <= last && !(window[at] === P && window[at + 1] === K && HEADERS.has(window.readUInt32LE(at)))) at += 1;
    this.at = at;
    return at <= last ? window.readUInt32LE(at) : undefined;
  }

  /** Moves to the next header. @returns its signature, or undefined if there is none up to the end */
  async seekHeader(): Promise<number | undefined> {
    while (await this.fill(4)) {
      const signature = this.seekHeaderHere();
      if (signature !== undefined) return signature;
    }
    return undefined;
  }

  /** Reads to the end. @param accept called with the number of bytes so far */
  async rest(accept: (length: number) => void): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let length = 0; await this.fill(1); this.at = this.window.length) {
      const bytes = this.window.subarray(this.at);
      length += bytes.length;
      accept(length);
      pieces.push(Buffer.from(bytes));
    }
    return Buffer.concat(pieces);
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
    while (!this.#isOver) {
      const { window, at } = this.#input;
      const count = this.#takeHere();
      if (count > 0) return window.subarray(at, at + count);
      if (!this.#isOver) await this.#fill();
    }
    return undefined;
  }

  /** Skips what was not read, as far as it is in the window. @returns false if more has to be waited for */
  skipHere(): boolean {
    while (this.#takeHere() > 0);
    return this.#isOver;
  }

  /** Skips what was not read. */
  async skip(): Promise<void> {
    while (!this.skipHere()) await this.#fill();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let piece = await this.next(); piece !== undefined; piece = await this.next()) yield piece;
  }

  async #fill(): Promise<void> {
    await this.#input.fill(this.#left === undefined ? DESCRIPTOR_AND_MARK : 1);
  }

  /** Moves behind the bytes that are in the window. @returns their number; 0 at the end or if more has to be waited for */
  #takeHere(): number {
    const input = this.#input;
    if (this.#isOver) return 0;
    if (this.#left === undefined) return this.#takeToDescriptor();
    const count = Math.min(this.#left, input.available);
    input.at += count;
    this.#length += count;
    this.#left -= count;
    this.#isOver = this.#left === 0 || (count === 0 && input.hasEnded);
    return count;
  }

  /**
   * The content ends at a descriptor that has its size. Content that forges one ends early here, and then differs from
   * the central directory.
   */
  #takeToDescriptor(): number {
    const input = this.#input;
    const { window, at, available } = input;
    const hasMore = available >= DESCRIPTOR_AND_MARK;
    if (!hasMore && !input.hasEnded) return 0;
    // A descriptor that reaches behind the window is looked at again in the next one.
    const end = hasMore ? window.length - DESCRIPTOR_AND_MARK + 1 : window.length;
    let found = window.indexOf(DESCRIPTOR, at);
    while (found >= 0 && found < end && !this.#isEnd(found)) found = window.indexOf(DESCRIPTOR, found + 1);
    const isFound = found >= 0 && found < end;
    const count = (isFound ? found : end) - at;
    input.at += count;
    this.#length += count;
    if (isFound) {
      const isLong = window.indexOf(MARK, found + SHORT_DESCRIPTOR) === found + LONGEST_DESCRIPTOR;
      input.at += isLong ? LONGEST_DESCRIPTOR : SHORT_DESCRIPTOR;
    }
    this.#isOver = isFound || count === 0;
    return count;
  }

  #isEnd(found: number): boolean {
    const { window, at } = this.#input;
    return (
      window.length >= found + SHORT_DESCRIPTOR &&
      window.readUInt32LE(found + 8) === (this.#length + found - at) % 2 ** 32
    );
  }
}
