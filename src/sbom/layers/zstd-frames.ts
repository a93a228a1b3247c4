import { ByteReader } from './byte-reader.js';
import { layerInvalid } from './invalid.js';

/** Magic numbers as little-endian 32-bit values. */
const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/**
 * Zstandard data, cut so that no piece spans two frames, without skippable frames. Node 22's decompressor drops what follows a
 * frame in the same write, and takes a truncated frame for a whole one: layers made for lazy pulling are many frames.
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1
 * @throws InputError `LAYER_INVALID`
 */
export async function* splitZstdFrames(source: AsyncIterable<Uint8Array>, layer: string): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(source);
  try {
    yield* readFrames(reader, layer);
  } finally {
    await reader.close();
  }
}

async function* readFrames(reader: ByteReader, layer: string): AsyncGenerator<Uint8Array> {
  const truncated = () => layerInvalid(layer, 'its zstd data ends in the middle of a frame');
  const take = async (count: number): Promise<Buffer> => {
    // A copy: what is yielded is kept by the decompressor while we read on.
    const bytes = Buffer.from(await reader.take(count));
    if (bytes.length < count) throw truncated();
    return bytes;
  };
  async function* pass(count: number): AsyncGenerator<Uint8Array> {
    let left = count;
    while (left > 0) {
      const piece = await reader.some(left);
      if (piece === undefined) throw truncated();
      left -= piece.length;
      yield piece;
    }
  }
  for (;;) {
    const start = Buffer.from(await reader.take(4));
    if (start.length === 0) return;
    if (start.length < 4) throw truncated();
    const magic = start.readUInt32LE(0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      const size = (await take(4)).readUInt32LE(0);
      if ((await reader.skip(size)) < size) throw truncated();
      continue;
    }
    if (magic !== FRAME) throw layerInvalid(layer, 'its zstd data has something between its frames');
    const descriptor = await take(1);
    const flags = descriptor[0] ?? 0;
    const singleSegment = (flags & 0x20) !== 0;
    const dictionarySize = [0, 1, 2, 4][flags & 3] ?? 0;
    const contentSizeSize = [singleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
    yield Buffer.concat([start, descriptor, await take((singleSegment ? 0 : 1) + dictionarySize + contentSizeSize)]);
    for (let last = false; !last;) {
      const header = await take(3);
      const value = header.readUIntLE(0, 3);
      last = (value & 1) !== 0;
      const type = (value >> 1) & 3;
      if (type === RESERVED_BLOCK) throw layerInvalid(layer, 'its zstd data has a block of an unknown type');
      yield header;
      yield* pass(type === RLE_BLOCK ? 1 : value >> 3);
    }
    if ((flags & 4) !== 0) yield await take(4);
  }
}
