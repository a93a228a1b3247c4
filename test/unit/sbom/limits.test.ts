import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { createStreamingSbomGenerator } from '../../../src/sbom/index.js';
import {
  GZIP_LAYER,
  PLAIN_LAYER,
  gzipped,
  layerOf,
  npmPackage,
  sbomOf,
  tarOf,
  type Entry,
} from '../../support/sbom-image.js';
import { heldBuffers } from '../../support/held-buffers.js';
import { END, file, header, pax } from './raw-tar.js';

const a = npmPackage('node_modules/a', 'a', '1.0.0');

describe('an image beyond a limit is refused', () => {
  test('for unpacked bytes of one layer and of all layers', async () => {
    const megabyte: Entry = ['zeros', Buffer.alloc(1024 * 1024)];
    const bomb = await layerOf(megabyte);
    expect(bomb.bytes.length).toBeLessThan(5000);
    await expect(sbomOf([bomb], { limits: { unpackedBytes: 1024 * 1024 } })).rejects.toMatchObject({
      code: 'SBOM_LIMIT',
    });
    const limits = { unpackedBytes: 2.5 * 1024 * 1024 };
    expect((await sbomOf([bomb, await layerOf(a)], { limits })).purls).toEqual(['pkg:npm/a@1.0.0']);
    await expect(
      sbomOf([bomb, await layerOf(megabyte, a), await layerOf(megabyte, ['b', ''])], { limits }),
    ).rejects.toMatchObject({
      code: 'SBOM_LIMIT',
      remedy: expect.any(String),
    });
  });

  test('while a compression bomb is unpacked, not after', async () => {
    const noise = Buffer.concat([Buffer.alloc(8 * 1024 * 1024), randomBytes(8 * 1024 * 1024)]);
    const bytes = gzipSync(Buffer.concat([await tarOf([a]), noise]), { level: 1 });
    let read = 0;
    const refused = sbomOf([{ mediaType: GZIP_LAYER, bytes }], {
      chunkBytes: 10_000,
      limits: { unpackedBytes: 1024 * 1024 },
      onProgress: (done) => (read = done),
    });
    await expect(refused).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
    expect(read).toBeLessThan(bytes.length / 2);
  });

  test('the limit counts the entries of all layers', async () => {
    const entries = (from: number): Entry[] => Array.from({ length: 10 }, (_, index) => [`f${from + index}`, '']);
    const layers = [await layerOf(...entries(0)), await layerOf(...entries(10))];
    await expect(sbomOf(layers, { limits: { entries: 19 } })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
    expect((await sbomOf(layers, { limits: { entries: 20 } })).purls).toEqual([]);
  });

  test.each<[string, Entry]>([
    ['a path', ['x'.repeat(5000), '']],
    ['a link’s target', ['l', { type: 'symlink', linkname: 'y'.repeat(5000) }]],
  ])('the length of %s', async (_, entry) => {
    await expect(sbomOf([await layerOf(entry)])).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });

  test('a limit applies to the length of an extended header', async () => {
    const bytes = Buffer.concat([file({ type: 'x' }, pax(`comment=${'z'.repeat(2 * 1024 * 1024)}`)), header({}), END]);
    await expect(sbomOf([{ mediaType: PLAIN_LAYER, bytes }])).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });

  test('for the names of files', async () => {
    const many = await layerOf(...Array.from({ length: 50 }, (_, index): Entry => [`folder/file-${index}`, '']));
    const limits = { rememberedBytes: 4000 };
    expect((await sbomOf([await layerOf(a)], { limits })).purls).toEqual(['pkg:npm/a@1.0.0']);
    await expect(sbomOf([many], { limits })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });

  test('for packages and their characters', async () => {
    const layer = await layerOf(...['a', 'b', 'c'].map((name) => npmPackage(`node_modules/${name}`, name, '1.0.0')));
    await expect(sbomOf([layer], { limits: { packages: 2 } })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
    await expect(sbomOf([layer], { limits: { packageChars: 60 } })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });

  test('for the bytes of the config', async () => {
    const config = { created: '2024-01-01T00:00:00Z', comment: 'x'.repeat(2000) };
    await expect(sbomOf([], { config, limits: { configBytes: 1000 } })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });
});

test('memory does not grow with the size of a layer', async () => {
  const size = 512 * 1024 ** 2;
  const piece = Buffer.alloc(1024 * 1024, 'x');
  const held = heldBuffers();
  let most = 0;
  async function* layer(): AsyncGenerator<Uint8Array> {
    yield header({ name: 'large', size, bytes: [[100, Buffer.from('0000755\0')]] });
    for (let sent = 0; sent < size; sent += piece.length) {
      yield piece;
      if (sent % (64 * piece.length) === 0) most = Math.max(most, held());
    }
    yield await tarOf([a]);
  }
  const descriptor = (mediaType: string, digit: string, bytes: number): Descriptor => ({
    mediaType,
    digest: `sha256:${digit.repeat(64)}`,
    size: bytes,
  });
  const config = descriptor('application/vnd.oci.image.config.v1+json', 'c', 2);
  const [sbom] = await createStreamingSbomGenerator().generate({
    name: 'registry.example/large',
    descriptor: descriptor('application/vnd.oci.image.manifest.v1+json', 'a', 2),
    manifest: {
      kind: 'image',
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config,
      layers: [descriptor(PLAIN_LAYER, 'b', size)],
    },
    signal: new AbortController().signal,
    openBlob: async ({ digest }) => (digest === config.digest ? (async function* () {})() : layer()),
  });
  expect(sbom?.counts).toEqual({ npm: 1 });
  expect(most).toBeLessThan(64 * 1024 * 1024);
});

describe('content that is too large to read is a gap', () => {
  test('such as a package manifest', async () => {
    const large = npmPackage('node_modules/large', 'large', '1.0.0', { text: 'x'.repeat(5 * 1024 * 1024) });
    const { purls, gaps } = await sbomOf([await layerOf(large, a)]);
    expect(purls).toEqual(['pkg:npm/a@1.0.0']);
    expect(gaps).toEqual([
      expect.stringMatching(/^npm: a file of \d+ bytes, which is too large \(node_modules\/large\/package.json\)$/),
    ]);
  });

  test('a file with a false size allocates no memory of that size', async () => {
    // The header states 8 GiB, but the archive ends. No buffer of that size may be allocated.
    const bytes = header({ name: 'node_modules/a/package.json', size: 0o77777777777 });
    await expect(sbomOf([{ mediaType: PLAIN_LAYER, bytes }])).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });

  test('gaps beyond the limit are only counted', async () => {
    const broken = Array.from({ length: 30 }, (_, index): Entry => [`node_modules/p${index}/package.json`, 'no']);
    const { gaps, gapCounts } = await sbomOf([await layerOf(...broken)], { limits: { gaps: 5 } });
    expect(gaps).toHaveLength(5);
    expect(gapCounts).toMatchObject([{ count: 30 }]);
  });
});

describe('generating an SBOM', () => {
  test('reports growing progress up to the total, also if a layer is read twice', async () => {
    const layers = [
      await layerOf(a),
      gzipped(
        await tarOf([
          ['store', a[1]],
          ['node_modules/b/package.json', { type: 'link', linkname: 'store' }],
        ]),
      ),
    ];
    const seen: [number, number][] = [];
    await sbomOf(layers, { chunkBytes: 50, onProgress: (read, total) => seen.push([read, total]) });
    const total = layers.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(seen.at(-1)).toEqual([total, total]);
    expect(seen.map(([read]) => read)).toEqual(seen.map(([read]) => read).toSorted((one, other) => one - other));
  });

  test('fetches layers side by side, a few at a time', async () => {
    const layers = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => layerOf(npmPackage(`node_modules/${name}`, name, '1.0.0'))),
    );
    let opened = 0;
    let [most, running] = [0, 0];
    let allOpened = (): void => {};
    const four = new Promise<void>((resolve) => (allOpened = resolve));
    const { counts } = await sbomOf(layers, {
      // The first is the config. No layer ends before four have been opened.
      beforeBlob: async () => {
        opened += 1;
        running += 1;
        most = Math.max(most, running);
        if (opened === 1) return;
        if (opened === 5) allOpened();
        await four;
      },
      onClose: () => (running -= 1),
    });
    expect(counts).toEqual({ npm: 6 });
    expect(most).toBe(4);
  });

  test("throws the signal's reason when it is aborted", async () => {
    const stopping = new AbortController();
    const layer = await layerOf(['random', Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) % 251))]);
    const refused = sbomOf([layer], {
      chunkBytes: 100,
      signal: stopping.signal,
      onProgress: (read) => {
        if (read > 500) stopping.abort(new Error('enough'));
      },
    });
    await expect(refused).rejects.toThrow('enough');
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['plain', (bytes) => bytes],
    ['gzip', (bytes) => gzipSync(bytes, { level: 0 })],
    ['zstd', (bytes) => zstdCompressSync(bytes)],
  ])('a layer that is refused half way is let go: %s', async (_, compress) => {
    const noise = randomBytes(8_000_000);
    const layer = { mediaType: PLAIN_LAYER, bytes: compress(await tarOf([a, a, ['noise', noise]])) };
    let closed = 0;
    let read = 0;
    const allClosed = new Promise<void>((resolve) => {
      void sbomOf([layer], {
        limits: { entries: 1 },
        chunkBytes: 100_000,
        onProgress: (bytes) => (read = bytes),
        onClose: () => {
          closed += 1;
          // The config and the layer were opened.
          if (closed === 2) resolve();
        },
      }).catch(() => undefined);
    });
    await allClosed;
    expect(read).toBeLessThan(layer.bytes.length / 2);
  });

  test('throws an error of the blob unchanged', async () => {
    const layer = await layerOf(a);
    await expect(sbomOf([layer], { failAt: 30, chunkBytes: 10 })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  test('throws an error at the very end of a blob', async () => {
    const layer = await layerOf(a);
    await expect(sbomOf([layer], { failAt: layer.bytes.length })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    for (const archive of [await tarOf([a]), gzipSync(await tarOf([a]))]) {
      const padded = { mediaType: PLAIN_LAYER, bytes: Buffer.concat([archive, Buffer.alloc(200_000)]) };
      const read = sbomOf([padded], { failAt: padded.bytes.length, chunkBytes: 512 });
      await expect(read).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    }
  });
});
