/** Bytes searched at once. */
const WINDOW_BYTES = 256 * 1024;
/** Bytes kept of the window before: a needle may begin in one piece of the file and end in the next. */
const KEPT_BYTES = 128;
/** Bytes before a hit that a finder may look at. */
const CONTEXT_BYTES = 64;
/** Maximum bytes that one finder may ask for. The module lists of the largest Go programs have 200 KiB. */
const MOST_CAPTURED = 4 * 1024 * 1024;
/** Maximum hits of one needle in a window, so that bytes that repeat a needle cost no more time than others. */
const MOST_HITS = 2000;
/** Maximum captures that wait for bytes at the same time, and maximum bytes for which they wait. */
const MOST_WAITING = 64;
const MOST_WAITING_BYTES = 3 * MOST_CAPTURED;

/**
 * Gets the bytes from a place in the file. They are valid during the call only.
 * @param offset of `bytes` in the file
 * @param isEnd true if the file, or the limit of what may be asked for, ends here
 * @returns the number of bytes to wait for, counted from the same place, if these are too few; else undefined
 */
export type Capture = (bytes: Buffer, offset: number, isEnd: boolean) => number | undefined;

/** Node looks for longer bytes by Boyer and Moore's algorithm, which in programs takes three times as long. */
const KEY_BYTES = 6;

/** Something to look for in a file. */
export interface Finder {
  /** At most 64 bytes. */
  readonly needle: Buffer;
  /** Where its first byte is that is rare in programs: the six bytes from there are looked for first. Default 0. */
  readonly rareAt?: number;
  /** Whether a place where the needle is may be what is looked for: a quick look at the bytes around it. */
  readonly isLikely?: (bytes: Buffer, at: number) => boolean;
  /** Bytes wanted at each place where the needle is, the needle included. */
  readonly bytes: number;
  /** Bytes wanted before the needle, at most 64. A needle with fewer bytes before it is passed over. Default 0. */
  readonly before?: number;
  readonly found: Capture;
}

interface Waiting {
  offset: number;
  wanted: number;
  done: Capture;
  pieces: Buffer[];
  length: number;
}

/** Looks for several needles in a stream of bytes, in constant memory. */
export class ByteScanner {
  readonly #finders: readonly Finder[];
  readonly #window = Buffer.allocUnsafe(KEPT_BYTES + WINDOW_BYTES);
  /** Offset in the file of the first byte of the window. */
  #base = 0;
  #filled = 0;
  /** Position in the window before which everything was searched. */
  #searched = 0;
  #waiting: Waiting[] = [];
  /** Bytes for which all captures wait, added up. */
  #waitingBytes = 0;

  constructor(finders: readonly Finder[]) {
    this.#finders = finders;
  }

  /** Asks for bytes at a place that is not yet behind the window. Otherwise `done` gets no bytes. */
  capture(offset: number, bytes: number, done: Capture): void {
    const wanted = Math.min(bytes, MOST_CAPTURED);
    if (offset < this.#base || !Number.isSafeInteger(offset)) {
      done(Buffer.alloc(0), offset, true);
      return;
    }
    const at = offset - this.#base;
    const here = at < this.#filled ? this.#window.subarray(at, this.#filled) : Buffer.alloc(0);
    if (here.length >= wanted) {
      const more = done(here.subarray(0, wanted), offset, wanted === MOST_CAPTURED);
      if (more !== undefined && more > wanted) this.capture(offset, more, done);
      return;
    }
    if (this.#waiting.length >= MOST_WAITING || this.#waitingBytes + wanted > MOST_WAITING_BYTES) {
      done(Buffer.alloc(0), offset, true);
      return;
    }
    this.#waitingBytes += wanted;
    this.#waiting.push({ offset, wanted, done, pieces: [Buffer.from(here)], length: here.length });
  }

  async scan(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        const piece = chunk.subarray(at, at + this.#window.length - this.#filled);
        this.#window.set(piece, this.#filled);
        this.#filled += piece.length;
        this.#feed(piece);
        at += piece.length;
        if (this.#filled === this.#window.length) this.#advance();
      }
    }
    this.#search(this.#filled);
    for (const { done, pieces, offset } of this.#waiting.splice(0)) done(Buffer.concat(pieces), offset, true);
  }

  /** Gives the next bytes of the file to the captures that wait. */
  #feed(piece: Uint8Array): void {
    if (this.#waiting.length === 0) return;
    const start = this.#base + this.#filled - piece.length;
    // `done` may add captures to the list. Those have this piece already, from the window, so they are not visited.
    for (const waiting of this.#waiting.splice(0)) {
      const from = Math.max(0, waiting.offset + waiting.length - start);
      const part = piece.subarray(from, from + waiting.wanted - waiting.length);
      waiting.pieces.push(Buffer.from(part));
      waiting.length += part.length;
      if (waiting.length < waiting.wanted) {
        this.#waiting.push(waiting);
        continue;
      }
      this.#waitingBytes -= waiting.wanted;
      const bytes = Buffer.concat(waiting.pieces);
      const more = waiting.done(bytes, waiting.offset, waiting.wanted === MOST_CAPTURED);
      if (more !== undefined && more > waiting.wanted)
        this.#goOn(waiting, bytes, more, piece.subarray(from + part.length));
    }
  }

  /** Waits for more bytes of the same place. @param rest of the piece of the file that is read */
  #goOn({ offset, done, wanted: had }: Waiting, bytes: Buffer, more: number, rest: Uint8Array): void {
    const wanted = Math.min(more, MOST_CAPTURED);
    if (wanted <= had || this.#waitingBytes + wanted > MOST_WAITING_BYTES) {
      done(bytes, offset, true);
      return;
    }
    this.#waitingBytes += wanted;
    const next = Buffer.from(rest.subarray(0, wanted - bytes.length));
    this.#waiting.push({ offset, wanted, done, pieces: [bytes, next], length: bytes.length + next.length });
  }

  #advance(): void {
    const end = this.#filled - CONTEXT_BYTES;
    this.#search(end);
    this.#window.copyWithin(0, this.#filled - KEPT_BYTES, this.#filled);
    this.#base += this.#filled - KEPT_BYTES;
    this.#filled = KEPT_BYTES;
    this.#searched = KEPT_BYTES - CONTEXT_BYTES;
  }

  /** Finds the needles that begin before `end`. */
  #search(end: number): void {
    const bytes = this.#window.subarray(0, this.#filled);
    for (const { needle, rareAt = 0, bytes: wanted, before = 0, isLikely, found } of this.#finders) {
      const key = needle.subarray(rareAt, rareAt + KEY_BYTES);
      let keyAt = bytes.indexOf(key, this.#searched + rareAt);
      for (let hits = 0; keyAt >= 0 && keyAt - rareAt < end && hits < MOST_HITS; hits += 1) {
        const at = keyAt - rareAt;
        const isHere = key.length === needle.length || needle.equals(bytes.subarray(at, at + needle.length));
        if (isHere && at >= before && isLikely?.(bytes, at) !== false)
          this.capture(this.#base + at - before, before + wanted, found);
        keyAt = bytes.indexOf(key, keyAt + 1);
      }
    }
  }
}
