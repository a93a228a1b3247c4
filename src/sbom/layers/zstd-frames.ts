import { ByteReader } from './byte-reader.js';
import { layerInvalid } from '../sbom-errors.js';

/** Magic numbers, as little-endian 32-bit values. */
const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;
/**
 * Minimum bytes that are passed on at once. A block may have only three bytes, and each chunk costs a call of the
 * decompressor.
 */
const PIECE_BYTES = 16 * 1024;

/**
 * Splits Zstandard data so that no chunk spans two frames, and drops skippable frames. Node 22's decompressor discards
 * data that follows a frame in the same write, and accepts a truncated frame as complete. Layers for lazy pulling have
 * many frames.
 * @param onFrame called with the window size of each frame
 * @throws InputError `LAYER_INVALID`
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1
 */
export async function* splitZstdFrames(
  source: AsyncIterable<Uint8Array>,
  layer: string,
  onFrame: (windowBytes: number) => Promise<void> | void,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(source);
  try {
    yield* readFrames(reader, layer, onFrame);
  } finally {
    await reader.close();
  }
}

async function* readFrames(
  reader: ByteReader,
  layer: string,
  onFrame: (windowBytes: number) => Promise<void> | void,
): AsyncGenerator<Uint8Array> {
  const truncated = () => layerInvalid(layer, 'its zstd data ends in the middle of a frame');
  const take = async (count: number): Promise<Buffer> => {
    // A copy, because the decompressor keeps the chunk while the next one is read.
    const bytes = Buffer.from(await reader.take(count));
    if (bytes.length < count) throw truncated();
    return bytes;
  };
  let pieces: Uint8Array[] = [];
  let heldBytes = 0;
  const hold = (bytes: Uint8Array): void => {
    pieces.push(bytes);
    heldBytes += bytes.length;
  };
  const handOn = (): Buffer => {
    const all = Buffer.concat(pieces);
    pieces = [];
    heldBytes = 0;
    return all;
  };
  for (;;) {
    const start = Buffer.from(await reader.take(4));
    if (start.length === 0) return;
    if (start.length < 4) throw truncated();
    const magic = start.readUInt32LE(0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      await onFrame(0);
      const size = (await take(4)).readUInt32LE(0);
      if ((await reader.skip(size)) < size) throw truncated();
      continue;
    }
    if (magic !== FRAME) throw layerInvalid(layer, 'its zstd data has other bytes between its frames');
    const descriptor = await take(1);
    const flags = descriptor[0] ?? 0;
    const singleSegment = (flags & 0x20) !== 0;
    const window = await take(singleSegment ? 0 : 1);
    const dictionary = await take([0, 1, 2, 4][flags & 3] ?? 0);
    const contentSize = await take([singleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0);
    await onFrame(singleSegment ? contentBytesOf(contentSize) : windowBytesOf(window[0] ?? 0));
    hold(Buffer.concat([start, descriptor, window, dictionary, contentSize]));
    for (let last = false; !last;) {
      const header = await take(3);
      const value = header.readUIntLE(0, 3);
      last = (value & 1) !== 0;
      const type = (value >> 1) & 3;
      if (type === RESERVED_BLOCK) throw layerInvalid(layer, 'its zstd data has a block of an unknown type');
      hold(header);
      for (let left = type === RLE_BLOCK ? 1 : value >> 3; left > 0;) {
        const piece = await reader.some(left);
        if (piece === undefined) throw truncated();
        left -= piece.length;
        // The piece is valid until the next read: what stays in memory beyond it is a copy.
        hold(heldBytes + piece.length >= PIECE_BYTES ? piece : Buffer.from(piece));
        if (heldBytes >= PIECE_BYTES) yield handOn();
      }
      if (heldBytes >= PIECE_BYTES) yield handOn();
    }
    if ((flags & 4) !== 0) hold(await take(4));
    yield handOn();
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2 */
function windowBytesOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/**
 * The window of a single-segment frame, which is its content size.
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.4
 */
function contentBytesOf(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE(0));
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}
