import type { OpenBody } from '../repository.js';

/** Opens a blob at an offset. */
export type OpenAt = (offset: number) => Promise<AsyncIterable<Uint8Array>>;

/** Opens a body at an offset by skipping the bytes before it. */
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
  /** The part of the last chunk that belongs to the next piece. */
  rest: Uint8Array;
}

const NOTHING = new Uint8Array();

/**
 * Reads a blob in pieces. Consecutive pieces share one open body. A piece that is requested again after a failure opens
 * a new body.
 */
export class BlobReading {
  readonly #openAt: OpenAt;
  readonly #wrongSize: (actual: string) => Error;
  /** The body that stays open between two pieces. Undefined while a piece is being read. */
  #open: Open | undefined;

  constructor(openAt: OpenAt, wrongSize: (actual: string) => Error) {
    this.#openAt = openAt;
    this.#wrongSize = wrongSize;
  }

  /**
   * Yields the bytes from `start` to before `end`.
   * @throws the error of `wrongSize` if there are fewer
   */
  async *piece(start: number, end: number): AsyncGenerator<Uint8Array> {
    const open = await this.#at(start);
    let isRead = false;
    try {
      while (!isRead) {
        const chunk = await nextOf(open);
        if (chunk === undefined) throw this.#wrongSize(`${open.position}`);
        const part = chunk.subarray(0, end - open.position);
        open.rest = chunk.subarray(part.length);
        open.position += part.length;
        isRead = open.position === end;
        // The registry may answer the request before the sender asks for more than the last part.
        if (isRead) this.#open = open;
        yield part;
      }
    } finally {
      if (!isRead) await open.chunks.return?.();
    }
  }

  /** @throws the error of `wrongSize` if more bytes follow the last piece */
  async expectEnd(): Promise<void> {
    const open = this.#open;
    if (open !== undefined && (await nextOf(open)) !== undefined) throw this.#wrongSize('more');
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

/** The next chunk that is not empty; undefined at the end. */
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
