import { pipeline } from 'node:stream/promises';
import { createInflateRaw, inflateRawSync } from 'node:zlib';
import type { ZipBudget } from './zip-budget.js';
import type { EntryContent } from './zip-input.js';

/** Content up to this size is inflated at once, which takes less time than a stream. */
const AT_ONCE_BYTES = 1024 * 1024;
/** Inflated bytes of such content, and of one piece of a stream. */
const [MOST_AT_ONCE, PIECE_BYTES] = [4 * AT_ONCE_BYTES, 256 * 1024] as const;
/** An entry does not inflate. */
export class ZipContentError extends Error {}

/** Inflates the content of an entry. @throws ZipContentError, ZipLimitError */
export async function* inflate(content: EntryContent, budget: ZipBudget): AsyncGenerator<Uint8Array> {
  const pieces: Buffer[] = [];
  let piece = await content.next();
  for (; piece !== undefined && content.length <= AT_ONCE_BYTES; piece = await content.next()) {
    pieces.push(Buffer.from(piece));
  }
  try {
    if (piece === undefined) {
      const inflated = inflateAtOnce(Buffer.concat(pieces));
      if (inflated !== undefined) {
        budget.takeInflated(inflated.length);
        yield inflated;
        return;
      }
    } else pieces.push(Buffer.from(piece));
    yield* inflatePieces(pieces, content, budget);
  } catch (error) {
    if (codeOf(error).startsWith('Z_')) throw new ZipContentError('the content does not inflate', { cause: error });
    throw error;
  }
}

/** Returns undefined if the result would be too long to hold. */
function inflateAtOnce(bytes: Buffer): Buffer | undefined {
  try {
    return inflateRawSync(bytes, { maxOutputLength: MOST_AT_ONCE });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}

async function* inflatePieces(
  first: readonly Buffer[],
  content: EntryContent,
  budget: ZipBudget,
): AsyncGenerator<Uint8Array> {
  const inflater = createInflateRaw({ chunkSize: PIECE_BYTES });
  // The result of the pipeline is that of the loop below, unless the loop stops early.
  const pumping = pipeline(copies(first, content), inflater).catch(() => undefined);
  try {
    for await (const chunk of inflater) {
      const inflated = chunk as Buffer;
      budget.takeInflated(inflated.length);
      yield inflated;
    }
  } finally {
    inflater.destroy();
    await pumping;
  }
}

/** Copies each piece: the inflater may still read one while the next is asked for. */
async function* copies(first: readonly Buffer[], content: EntryContent): AsyncGenerator<Buffer> {
  yield* first;
  for await (const piece of content) yield Buffer.from(piece);
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
