import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../src/oci/index.js';
import {
  GZIP_LAYER,
  PLAIN_LAYER,
  ZSTD_LAYER,
  npmPackage,
  sbomOf,
  tarOf,
  twoArchives,
  type Layer,
} from '../../support/sbom-image.js';

const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
let tar: Buffer;

beforeAll(async () => {
  const filler = Buffer.alloc(300_000);
  for (let index = 0; index < filler.length; index++) filler[index] = (index * index) % 251;
  tar = await tarOf([
    npmPackage('node_modules/first', 'first', '1.0.0'),
    ['filler', filler],
    npmPackage('node_modules/last', 'last', '1.0.0'),
  ]);
});

const ALL = ['pkg:npm/first@1.0.0', 'pkg:npm/last@1.0.0'];
const zeros = (count: number): Buffer => Buffer.alloc(count);

/** `make` splits the archive into members or frames of this many bytes. */
function pieces(make: (bytes: Buffer) => Buffer, size: number): Buffer[] {
  const made: Buffer[] = [];
  for (let at = 0; at < tar.length; at += size) made.push(make(tar.subarray(at, at + size)));
  return made;
}

const zstd = (bytes: Buffer): Buffer => zstdCompressSync(bytes);
const skippable = (size: number): Buffer => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a53, 0);
  header.writeUInt32LE(size, 4);
  return Buffer.concat([header, Buffer.alloc(size, 7)]);
};

describe('a layer is read with any compression', () => {
  test.each<[string, string, () => Buffer]>([
    ['gzip', GZIP_LAYER, () => gzipSync(tar)],
    ['gzip by its Docker name', DOCKER_LAYER, () => gzipSync(tar)],
    ['gzip in many members', GZIP_LAYER, () => Buffer.concat(pieces((bytes) => gzipSync(bytes), 1000))],
    ['gzip and zeros behind', GZIP_LAYER, () => Buffer.concat([gzipSync(tar), zeros(5000)])],
    ['zstd', ZSTD_LAYER, () => zstd(tar)],
    ['zstd in many frames', ZSTD_LAYER, () => Buffer.concat(pieces(zstd, 1000))],
    [
      'zstd with skippable frames, first, between and last',
      ZSTD_LAYER,
      () => Buffer.concat([skippable(5), ...pieces(zstd, 40_000).flatMap((frame) => [frame, skippable(70_000)])]),
    ],
    ['zstd with checksums', ZSTD_LAYER, () => zstdCompressSync(tar, { params: { 201: 1 } })],
    ['nothing', PLAIN_LAYER, () => tar],
    ['nothing, with zeros behind', PLAIN_LAYER, () => Buffer.concat([tar, zeros(10_240)])],
    ['gzip that calls itself plain', PLAIN_LAYER, () => gzipSync(tar)],
    ['zstd that calls itself gzip', GZIP_LAYER, () => zstd(tar)],
    ['nothing that calls itself gzip', GZIP_LAYER, () => tar],
    ['gzip of no particular type', 'application/octet-stream', () => gzipSync(tar)],
  ])('%s', async (_, mediaType, make) => {
    const layer = { mediaType, bytes: make() };
    for (const chunkBytes of [Infinity, 4096, 61]) {
      const { purls, gaps } = await sbomOf([layer], { chunkBytes });
      expect({ purls, gaps }).toEqual({ purls: ALL, gaps: [] });
    }
  });

  test('a layer of many pieces, of which each is valid until the next is read', async () => {
    const random = await tarOf([
      npmPackage('node_modules/first', 'first', '1.0.0'),
      ['filler', randomBytes(4_000_000)],
      npmPackage('node_modules/last', 'last', '1.0.0'),
    ]);
    for (const [mediaType, bytes] of [
      [PLAIN_LAYER, random],
      [GZIP_LAYER, gzipSync(random)],
      // The pieces end shortly after the start of a block, and shortly before its end.
      [ZSTD_LAYER, Buffer.concat([skippable(120_000), zstd(random)])],
      [ZSTD_LAYER, Buffer.concat([skippable(10_000), zstd(random)])],
    ] as const)
      expect((await sbomOf([{ mediaType, bytes }], { chunkBytes: 100_000 })).purls).toEqual(ALL);
  });

  test.each<[string, () => Buffer]>([
    ['no bytes', () => Buffer.alloc(0)],
    ['the end mark alone', () => zeros(1024)],
    ['half an end mark', () => zeros(512)],
    ['a packed end mark', () => gzipSync(zeros(1024))],
    ['no end mark', () => tar.subarray(0, 0)],
  ])('an empty layer: %s', async (_, make) => {
    expect((await sbomOf([{ mediaType: GZIP_LAYER, bytes: make() }])).purls).toEqual([]);
  });

  test('an archive without its end marker is complete', async () => {
    expect((await sbomOf([{ mediaType: PLAIN_LAYER, bytes: tar.subarray(0, -1024) }])).purls).toEqual(ALL);
  });
});

describe('a layer must match the digest in the config', () => {
  const config = (...diffIds: unknown[]): object => ({ rootfs: { type: 'layers', diff_ids: diffIds } });
  const layer = (): Layer => ({ mediaType: GZIP_LAYER, bytes: gzipSync(tar) });
  const mismatch = { code: 'IMAGE_CONFIG_MISMATCH' };

  test('with sha256 or sha512', async () => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      expect((await sbomOf([layer()], { config: config(digestOf(tar, algorithm)) })).purls).toEqual(ALL);
    }
  });

  test('a layer that does not match its diff id, or an invalid diff id, is an error', async () => {
    for (const diffId of [digestOf(layer().bytes), 'sha256:', null, 7, { digest: digestOf(tar) }])
      await expect(sbomOf([layer()], { config: config(diffId) })).rejects.toMatchObject(mismatch);
  });

  test('each diff id must match the layer at its position', async () => {
    const other = { mediaType: PLAIN_LAYER, bytes: zeros(1024) };
    const [first, second] = [digestOf(tar), digestOf(other.bytes)];
    expect((await sbomOf([layer(), other], { config: config(first, second) })).purls).toEqual(ALL);
    await expect(sbomOf([layer(), other], { config: config(second, first) })).rejects.toMatchObject(mismatch);
    await expect(sbomOf([layer(), other], { config: config(undefined, second) })).rejects.toMatchObject(mismatch);
  });

  test('so that a blob that is a tar for containerd and zstd for others gets no wrong SBOM', async () => {
    const bytes = await twoArchives([npmPackage('node_modules/evil', 'evil', '6.6.6')], tar);
    // containerd uses the media type and unpacks the first archive; Docker finds that it does not match.
    const plain = { mediaType: PLAIN_LAYER, bytes };
    expect((await sbomOf([plain], { config: config(digestOf(bytes)) })).purls).toEqual(['pkg:npm/evil@6.6.6']);
    // With this config it is the other way round.
    await expect(sbomOf([plain], { config: config(digestOf(tar)) })).rejects.toMatchObject(mismatch);
  });
});

describe('a layer that cannot be unpacked is refused and never read in part', () => {
  const cutAt = (bytes: Buffer, share: number): Buffer => bytes.subarray(0, Math.floor(bytes.length * share));
  test.each<[string, () => Buffer]>([
    ['gzip, cut in the middle', () => cutAt(gzipSync(tar), 0.5)],
    ['gzip, its last byte missing', () => gzipSync(tar).subarray(0, -1)],
    ['gzip, its checksum wrong', () => Buffer.concat([gzipSync(tar).subarray(0, -8), zeros(8)])],
    ['gzip, something else behind', () => Buffer.concat([gzipSync(tar), Buffer.from('more')])],
    ['gzip, a byte changed', () => changed(gzipSync(tar))],
    ['zstd, cut in the middle', () => cutAt(zstd(tar), 0.5)],
    ['zstd, its last byte missing', () => zstd(tar).subarray(0, -1)],
    ['zstd, cut between its blocks', () => zstd(tar).subarray(0, 9)],
    [
      'zstd, one frame of many missing a byte',
      () => Buffer.concat([...pieces(zstd, 100_000), zstd(tar).subarray(0, -1)]),
    ],
    ['zstd, something else behind', () => Buffer.concat([zstd(tar), Buffer.from('more')])],
    ['zstd, a checksum wrong', () => wrongChecksum(zstdCompressSync(tar, { params: { 201: 1 } }))],
    ['zstd, a skippable frame cut', () => Buffer.concat([zstd(tar), skippable(100).subarray(0, -1)])],
    ['tar, cut inside a file', () => cutAt(tar, 0.5)],
    ['tar, cut inside a header', () => tar.subarray(0, 700 + 512)],
    ['text', () => Buffer.alloc(2000, 'text ')],
  ])('%s', async (_, make) => {
    for (const chunkBytes of [Infinity, 1000]) {
      await expect(sbomOf([{ mediaType: GZIP_LAYER, bytes: make() }], { chunkBytes })).rejects.toMatchObject({
        code: 'LAYER_INVALID',
      });
    }
  });

  function changed(bytes: Buffer): Buffer {
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
    return bytes;
  }

  function wrongChecksum(bytes: Buffer): Buffer {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0xff;
    return bytes;
  }

  test.each([
    'application/vnd.erofs.layer.v1',
    'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
    'application/vnd.oci.image.layer.nydus.blob.v1',
  ])('a layer of type %s is not requested and is a gap', async (mediaType) => {
    const { purls, gapCounts, gaps, opened } = await sbomOf([
      { mediaType, bytes: Buffer.from('x') },
      { mediaType: PLAIN_LAYER, bytes: tar },
    ]);
    expect(purls).toEqual(ALL);
    expect(gapCounts.map(({ cause }) => cause)).toEqual(['layer-unreadable']);
    expect(gaps).toEqual([expect.stringMatching(/^layer sha256:[0-9a-f]{64} is /)]);
    expect(opened).toHaveLength(2);
  });

  test.each(['application/vnd.in-toto+json', 'text/plain'])(
    'a layer of type %s, which Docker may unpack all the same, is refused',
    async (mediaType) => {
      const refused = sbomOf([{ mediaType, bytes: gzipSync(tar) }]);
      await expect(refused).rejects.toMatchObject({ code: 'LAYER_UNSUPPORTED' });
    },
  );

  test('a Windows image is read as far as it can be, with a gap', async () => {
    const { purls, gaps } = await sbomOf([{ mediaType: PLAIN_LAYER, bytes: tar }], { config: { os: 'windows' } });
    expect(purls).toEqual(ALL);
    expect(gaps).toEqual(['the image is for Windows, whose packages are not read']);
  });

  test('a foreign layer is not requested and is a gap', async () => {
    const foreign: Layer = {
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      bytes: Buffer.from('elsewhere'),
    };
    const { gaps, opened, purls } = await sbomOf([foreign, { mediaType: PLAIN_LAYER, bytes: tar }]);
    expect(gaps).toEqual([expect.stringMatching(/^layer sha256:[0-9a-f]{64} is not in the registry/)]);
    expect(opened).toHaveLength(2);
    expect(purls).toEqual(ALL);
  });

  test('a foreign layer that the registry has is read, as runtimes do', async () => {
    const foreign: Layer = {
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
      bytes: tar,
    };
    const { gaps, purls } = await sbomOf([foreign], { hasBlob: true });
    expect(gaps).toEqual([]);
    expect(purls).toEqual(ALL);
    expect((await sbomOf([foreign], { hasBlob: false })).gaps).toEqual([
      expect.stringMatching(/is not in the registry/),
    ]);
  });
});
