import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGunzip, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { PIECE_BYTES } from '../../../src/sbom/messages.js';
import { gunzip, openInflater, type Inflater } from '../../../src/sbom/layers/gunzip.js';
import { unpackLayer } from '../../../src/sbom/layers/unpack.js';
import { randomOf } from '../../interop/layers/mutated-layers.js';
import { propertyRuns } from '../../support/property-runs.js';

/** All pieces of `bytes`, `most` bytes each. */
function* split(bytes: Buffer, most: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += most) yield bytes.subarray(at, at + most);
}

function opened(): Inflater {
  const inflater = openInflater();
  if (inflater === undefined) throw new Error('zlib of this Node has other parts');
  return inflater;
}

async function unpacked(packed: Buffer, most: number): Promise<Buffer | 'refused'> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of gunzip(Readable.from(split(packed, most)), 'sha256:0', [], opened()))
      pieces.push(Buffer.from(piece));
  } catch (error) {
    expect(error).toMatchObject({ code: 'LAYER_INVALID' });
    return 'refused';
  }
  return Buffer.concat(pieces);
}

/** What Node's own stream makes of bytes that arrive at once. */
async function unpackedByNode(packed: Buffer): Promise<Buffer | 'refused'> {
  try {
    return await buffer(Readable.from([packed]).pipe(createGunzip()));
  } catch {
    return 'refused';
  }
}

describe('gzip', () => {
  test('is unpacked or refused as by the streams of Node, whatever its bytes are', async () => {
    const random = randomOf(17);
    const below = (count: number): number => Math.floor(random() * count);
    for (let run = 0; run < propertyRuns(300); run += 1) {
      const content = Buffer.from(Array.from({ length: below(3000) }, () => below(4)));
      const members = [gzipSync(content), gzipSync(content.subarray(below(100))), Buffer.alloc(below(3) * 600)];
      const packed = Buffer.concat(members.slice(0, 1 + below(3)));
      if (random() < 0.5) packed[below(packed.length)] = below(256);
      const cut = random() < 0.3 ? packed.subarray(0, below(packed.length)) : packed;
      expect(await unpacked(cut, cut.length)).toEqual(await unpackedByNode(cut));
    }
  });

  test('arrives in pieces of any size', async () => {
    const content = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * at) % 251));
    const packed = Buffer.concat([gzipSync(content), gzipSync(content)]);
    for (const most of [1, 7, 100, packed.length]) {
      expect(await unpacked(packed, most)).toEqual(Buffer.concat([content, content]));
    }
  });

  test('that is cut off anywhere is refused', async () => {
    const packed = gzipSync(Buffer.from('a layer'));
    for (let length = 1; length < packed.length; length += 1) {
      expect(await unpacked(packed.subarray(0, length), 10)).toBe('refused');
    }
  });

  test('is unpacked into memory that was given back', async () => {
    const packed = gzipSync(Buffer.alloc(20 * PIECE_BYTES + 5, 'ab'));
    const free: ArrayBuffer[] = [];
    const used = new Set<ArrayBuffer>();
    let length = 0;
    for await (const piece of gunzip(Readable.from([packed]), 'sha256:0', free, opened())) {
      length += piece.length;
      expect(piece.every((byte, at) => byte === (at % 2 === 0 ? 97 : 98))).toBe(true);
      used.add(piece.buffer);
      free.push(piece.buffer);
    }
    expect(length).toBe(20 * PIECE_BYTES + 5);
    expect(used.size).toBe(1);
  });

  test('is unpacked by a stream if zlib of this Node has other parts', async () => {
    const content = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * at) % 251));
    const packed = gzipSync(content);
    const { stream, handle } = opened();
    stream.destroy();
    const prototype = Object.getPrototypeOf(handle) as object;
    const before = Object.getOwnPropertyDescriptor(prototype, 'writeSync');
    Object.defineProperty(prototype, 'writeSync', { value: undefined, configurable: true });
    try {
      expect(openInflater()).toBeUndefined();
      const layer = { digest: 'sha256:0', mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' } as const;
      const pieces: Buffer[] = [];
      for await (const piece of unpackLayer(Readable.from([packed]), layer, () => {})) pieces.push(Buffer.from(piece));
      expect(Buffer.concat(pieces)).toEqual(content);
    } finally {
      if (before === undefined) Reflect.deleteProperty(prototype, 'writeSync');
      else Object.defineProperty(prototype, 'writeSync', before);
    }
  });
});
