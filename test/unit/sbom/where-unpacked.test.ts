import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../src/oci/index.js';
import { PIECE_BYTES, PIECES_AHEAD, type Unpacked } from '../../../src/sbom/messages.js';
import { Unpacker } from '../../../src/sbom/worker/unpacker.js';
import {
  gzipped,
  layerOf,
  npmPackage,
  PLAIN_LAYER,
  sbomOf,
  tarOf,
  ZSTD_LAYER,
  type ImageOptions,
  type Layer,
} from '../../support/sbom-image.js';
import { startedUnpackers } from '../../support/start-thread.js';

// Small layers are unpacked by the thread that reads them, large ones by a second thread beside it.

const MIB = 1024 * 1024;
const PACKAGE = npmPackage('app/node_modules/a', 'a', '1.0.0');
const LARGE = { mediaType: PLAIN_LAYER, bytes: await tarOf([['large', randomBytes(9 * MIB)]]) };

/** @returns what making an SBOM came to, and how many threads that unpack were started for it */
async function read<T>(made: () => Promise<T>): Promise<{ threads: number; result: PromiseSettledResult<T> }> {
  const before = startedUnpackers();
  const [result] = await Promise.allSettled([made()]);
  return { threads: startedUnpackers() - before, result };
}

/** A layer of zstd with content that takes a window of its size. */
const zstd = async (content: Uint8Array): Promise<Layer> => ({
  mediaType: ZSTD_LAYER,
  bytes: zstdCompressSync(await tarOf([PACKAGE, ['b', content]])),
});

describe.each([
  ['an image of a small layer', [], 0],
  ['an image with a large layer', [LARGE], 1],
] as const)('%s', (_, others, threads) => {
  // The large layer is opened first: the small one is then beyond the limit as well.
  const made = (layer: Layer, options?: ImageOptions): ReturnType<typeof read> =>
    read(() => sbomOf([...others, layer], options));

  test(`is unpacked with ${threads} more threads, and lists its package`, async () => {
    const { threads: started, result } = await made(await layerOf(PACKAGE));
    expect([started, result]).toMatchObject([threads, { value: { purls: ['pkg:npm/a@1.0.0'], gaps: [] } }]);
  });

  test('is refused if a layer does not unpack', async () => {
    const layer = await layerOf(PACKAGE, ['b', randomBytes(MIB)]);
    layer.bytes.fill(0xff, 1000, 2000);
    const { threads: started, result } = await made(layer);
    expect([started, result]).toMatchObject([threads, { reason: { code: 'LAYER_INVALID' } }]);
  });

  test('is refused if a layer needs too large a window', async () => {
    const { threads: started, result } = await made(await zstd(randomBytes(MIB)), { limits: { zstdWindowBytes: MIB } });
    expect([started, result]).toMatchObject([
      threads,
      { reason: { code: 'SBOM_LIMIT', details: { name: 'zstdWindowBytes' } } },
    ]);
  });

  test('is refused if its layers unpack to too much', async () => {
    const limits = { unpackedBytes: 10 * MIB };
    const { threads: started, result } = await made(await layerOf(['zeros', Buffer.alloc(11 * MIB)]), { limits });
    expect([started, result]).toMatchObject([
      threads,
      { reason: { code: 'SBOM_LIMIT', details: { name: 'unpackedBytes' } } },
    ]);
  });

  test('ends with the error of its registry', async () => {
    const { threads: started, result } = await made(await layerOf(PACKAGE), { failAt: 1 });
    expect([started, result]).toMatchObject([threads, { reason: { code: 'DIGEST_MISMATCH' } }]);
  });

  test('ends with the reason of its caller while its layers arrive', async () => {
    const stop = new AbortController();
    const { threads: started, result } = await made(await layerOf(PACKAGE, ['b', randomBytes(4 * MIB)]), {
      signal: stop.signal,
      chunkBytes: MIB / 16,
      onProgress: (bytes) => (bytes > MIB ? stop.abort(new Error('cancelled')) : undefined),
    });
    expect([started, result]).toMatchObject([threads, { reason: { message: 'cancelled' } }]);
  });
});

test.each([
  ['small', 1],
  ['very large', 200 * MIB],
])('the unpacked bytes of a %s layer are compared with the config', async (_, size) => {
  const archive = await tarOf([PACKAGE]);
  const layer = { ...gzipped(archive), size };
  const config = (diffId: string): object => ({ os: 'linux', rootfs: { type: 'layers', diff_ids: [diffId] } });
  const right = await sbomOf([layer], { config: config(digestOf(archive)) });
  expect(right.purls).toEqual(['pkg:npm/a@1.0.0']);
  const wrong = sbomOf([layer], { config: config(digestOf(layer.bytes)) });
  await expect(wrong).rejects.toMatchObject({
    code: 'IMAGE_CONFIG_MISMATCH',
    message: expect.stringContaining(digestOf(archive)),
  });
});

test('layers that are small one by one and large together are unpacked in both ways', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const layers = await Promise.all(
    names.map((name) => layerOf(npmPackage(`app/node_modules/${name}`, name, '1.0.0'), [name, randomBytes(2 * MIB)])),
  );
  const opened: [number, number][] = [];
  const onOpen = ({ length }: readonly string[]): void => void opened.push([length - 1, startedUnpackers()]);
  const { threads, result } = await read(() => sbomOf(layers, { onOpen, layersAtOnce: 1 }));
  expect(threads).toBe(1);
  expect(result).toMatchObject({ value: { purls: names.map((name) => `pkg:npm/${name}@1.0.0`) } });
  // The config and three layers start no thread. The fourth layer starts one.
  const before = opened[0]?.[1] ?? 0;
  expect(opened.map(([layer, started]) => [layer, started - before])).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
    [3, 0],
    [4, 1],
    [5, 1],
  ]);
});

test('a small layer on a base that is kept starts no second thread', async () => {
  const kept = new Map<string, Uint8Array>();
  const layers: ImageOptions['layers'] = {
    read: async (key) => kept.get(key),
    write: async (key, bytes) => void kept.set(key, bytes),
  };
  const upper = await layerOf(PACKAGE);
  const first = await read(() => sbomOf([LARGE], { layers }));
  const second = await read(() => sbomOf([LARGE, upper], { layers }));
  expect([first.threads, second.threads]).toEqual([1, 0]);
  expect(second.result).toMatchObject({ value: { purls: ['pkg:npm/a@1.0.0'] } });
  expect(second.result).toMatchObject({
    value: { bytes: (await sbomOf([LARGE, upper])).bytes },
  });
});

test('a layer is unpacked into the memory that its reader has given back', async () => {
  const sent: Unpacked[] = [];
  const memory = new Set<ArrayBuffer>();
  const unpacker = new Unpacker({ toMain: () => {}, toReader: (message) => void sent.push(message) }, 1024);
  const descriptor = { mediaType: PLAIN_LAYER, digest: digestOf(LARGE.bytes), size: LARGE.bytes.length };
  unpacker.receive({ type: 'open', id: 1, layer: descriptor, algorithm: 'sha256' });
  for (let at = 0; at < LARGE.bytes.length; at += PIECE_BYTES)
    unpacker.receive({ type: 'piece', id: 1, bytes: Uint8Array.from(LARGE.bytes.subarray(at, at + PIECE_BYTES)) });
  unpacker.receive({ type: 'end', id: 1 });
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    const message = sent.shift();
    if (message?.type !== 'piece') break;
    memory.add(message.bytes.buffer);
    unpacker.answer({ type: 'pull', id: 1, memory: message.bytes.buffer });
  }
  // Those that were on their way, one that waited, and one that was being filled; the rest of the layer has memory of its own.
  expect(memory.size).toBeLessThanOrEqual(PIECES_AHEAD + 3);
});
