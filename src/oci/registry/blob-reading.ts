import type { OpenBody } from '../store.js';

/** Opens the bytes of a blob from an offset on. */
export type OpenAt = (offset: number) => Promise<AsyncIterable<Uint8Array>>;

/** Opens from an offset on what can only be opened from its start. */
export function skipping(open: OpenBody): OpenAt {
  return async (offset) => (offset === 0 ? open() : skip(await open(), offset));
}

async function* skip(body: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let left = offset;
  for await (const chunk of body) {
    if (chunk.length > left) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

interface Open {
  chunks: AsyncIterator<Uint8Array>;
  position: number;
  /** Of the last chunk: what belongs to the next piece. */
  rest: Uint8Array;
}

const NOTHING = new Uint8Array();

/**
 * Hands on a blob in pieces as its bytes come. Pieces that follow each other are one reading; a piece that is asked for again, because
 * it broke off, is opened anew.
 */
export class BlobReading {
  readonly #openAt: OpenAt;
  readonly #wrongSize: () => Error;
  /** Between two pieces. While a piece is read it belongs to that. */
  #open: Open | undefined;

  constructor(openAt: OpenAt, wrongSize: () => Error) {
    this.#openAt = openAt;
    this.#wrongSize = wrongSize;
  }

  /** Bytes from `start` to before `end`. @throws as `wrongSize` says, if there are fewer */
  async *piece(start: number, end: number): AsyncGenerator<Uint8Array> {
    const open = await this.#at(start);
    try {
      while (open.position < end) {
        const chunk = await nextOf(open);
        if (chunk === undefined) throw this.#wrongSize();
        const part = chunk.subarray(0, end - open.position);
        open.rest = chunk.subarray(part.length);
        open.position += part.length;
        yield part;
      }
      this.#open = open;
    } finally {
      if (this.#open !== open) await open.chunks.return?.();
    }
  }

  /** @throws as `wrongSize` says, if there are bytes after the last piece */
  async expectEnd(): Promise<void> {
    const open = this.#open;
    if (open !== undefined && (await nextOf(open)) !== undefined) throw this.#wrongSize();
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.chunks.return?.();
  }

  async #at(start: number): Promise<Open> {
    const open = this.#open;
    if (open?.position === start) {
      this.#open = undefined;
      return open;
    }
    await this.close();
    const body = await this.#openAt(start);
    return { chunks: body[Symbol.asyncIterator](), position: start, rest: NOTHING };
  }
}

/** Undefined at the end. */
async function nextOf(open: Open): Promise<Uint8Array | undefined> {
  const { rest } = open;
  open.rest = NOTHING;
  if (rest.length > 0) return rest;
  for (;;) {
    const next = await open.chunks.next();
    if (next.done === true) return undefined;
    if (next.value.length > 0) return next.value;
  }
}
