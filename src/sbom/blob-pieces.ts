import { PIECE_BYTES } from './messages.js';

/**
 * Joins chunks to pieces of {@link PIECE_BYTES}, each with memory of its own that can be given to another thread.
 * @param free memory of earlier pieces, which is used again
 */
export async function* piecesOf(
  chunks: AsyncIterable<Uint8Array>,
  free: ArrayBuffer[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const newPiece = (): Uint8Array<ArrayBuffer> => new Uint8Array(free.pop() ?? new ArrayBuffer(PIECE_BYTES));
  let piece = newPiece();
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + PIECE_BYTES - filled);
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      piece = newPiece();
      filled = 0;
    }
  }
  if (filled > 0) yield piece.slice(0, filled);
  free.push(piece.buffer);
}
