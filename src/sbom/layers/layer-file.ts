import type { LayerFile } from '../catalogers/cataloger.js';
import type { TarEntry } from './tar.js';

/** The content of one file, for those that read it. */
export class EntryContent {
  readonly #entry: Pick<TarEntry, 'size' | 'mode' | 'next'>;
  /** The first bytes of the file. A copy. */
  readonly #head: Uint8Array;
  /** True if the layer could not be read further. */
  hasFailed = false;

  constructor(entry: Pick<TarEntry, 'size' | 'mode' | 'head' | 'next'>) {
    this.#entry = entry;
    this.#head = Buffer.from(entry.head);
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      return await this.#entry.next();
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }

  /**
   * Lets several readers read the file at the same time: each piece goes to all before the next is read, so that one
   * piece is in memory, whatever the size of the file.
   * @returns what the readers return, in their order
   */
  async readBy<T>(readers: readonly ((file: LayerFile) => Promise<T> | T)[]): Promise<T[]> {
    const [only, ...others] = readers;
    if (only !== undefined && others.length === 0) return [await only(this.#fileFrom(this.#pieces()))];
    const pieces = new SharedPieces(() => this.#next(), readers.length);
    const reading = readers.map(async (read) => {
      try {
        return await read(this.#fileFrom(pieces));
      } finally {
        pieces.leave();
      }
    });
    const ended = await Promise.allSettled(reading);
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
    return ended.map((end) => (end as PromiseFulfilledResult<T>).value);
  }

  #fileFrom(pieces: AsyncIterable<Uint8Array>): LayerFile {
    const { size, mode } = this.#entry;
    return { size, mode, head: this.#head, chunks: () => pieces, whole: () => wholeOf(pieces, size) };
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    for (let piece = await this.#next(); piece !== undefined; piece = await this.#next()) yield piece;
  }
}

/** The pieces of one stream for several readers. The next piece is read once every remaining reader waits for it. */
class SharedPieces {
  readonly #next: () => Promise<Uint8Array | undefined>;
  #readers: number;
  #waiting: { resolve: (piece: Uint8Array | undefined) => void; reject: (error: unknown) => void }[] = [];

  constructor(next: () => Promise<Uint8Array | undefined>, readers: number) {
    this.#next = next;
    this.#readers = readers;
  }

  /** One reader has ended. */
  leave(): void {
    this.#readers -= 1;
    this.#goOn();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await new Promise<Uint8Array | undefined>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        this.#goOn();
      });
      if (piece === undefined) return;
      yield piece;
    }
  }

  #goOn(): void {
    if (this.#waiting.length === 0 || this.#waiting.length < this.#readers) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#next().then(
      (piece) => waiting.forEach(({ resolve }) => resolve(piece)),
      (error: unknown) => waiting.forEach(({ reject }) => reject(error)),
    );
  }
}

async function wholeOf(pieces: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let filled = 0;
  for await (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.length;
  }
  return bytes;
}
