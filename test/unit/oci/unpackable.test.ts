import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  contentKindOf,
  digestOf,
  DOCKER_MANIFEST,
  encodeManifest,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_MANIFEST,
  parseManifest,
  type ContentKind,
  type Descriptor,
} from 'acr-promoter/oci';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { MemoryRepository } from '../../support/memory-repository.js';
import { tarOf } from '../../support/sbom-image.js';
import { MOST_SNIFFED_LAYERS, SNIFFED_BYTES } from '../../../src/oci/unpackable.js';

// podman, CRI-O and Docker unpack a layer whatever its media type if the config has an image's media type.

const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const IN_TOTO = 'application/vnd.in-toto+json';
let repository: MemoryRepository;
let seed = 0;

beforeEach(() => {
  repository = new MemoryRepository();
});

function blob(mediaType: string, bytes: Uint8Array): Descriptor {
  const digest = digestOf(bytes);
  repository.blobs.set(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

interface Made {
  mediaType?: string;
  configType?: string;
  diffIds?: number;
}

function kindOf(layers: Descriptor[], made: Made = {}): Promise<ContentKind> {
  const { mediaType = OCI_IMAGE_MANIFEST, configType = OCI_IMAGE_CONFIG, diffIds = layers.length } = made;
  const rootfs = { type: 'layers', diff_ids: layers.slice(0, diffIds).map(({ digest }) => digest) };
  const config = blob(configType, Buffer.from(JSON.stringify({ rootfs })));
  const annotations = { seed: `${(seed += 1)}` };
  const bytes = encodeManifest({ schemaVersion: 2, mediaType, config, layers, annotations });
  return contentKindOf(repository, digestOf(bytes), parseManifest(bytes, mediaType, 'it'));
}

const tar = (): Promise<Buffer> => tarOf([['app/index.js', 'evil']]);
const json = (type: string): Descriptor => blob(type, Buffer.from('{"critical":{}}'));

describe('an image whose layers have other media types', () => {
  test.each([
    ['a tar', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
    ['bzip2', () => Buffer.from('BZh91AY')],
    ['xz', () => Buffer.from('fd377a585a0000', 'hex')],
    ['a skippable frame', () => Buffer.from('5a2a4d1800000000', 'hex')],
  ])('%s is an image', async (_what, packed) => {
    expect(await kindOf([blob(SIMPLE_SIGNING, packed(await tar()))])).toBe('image');
  });

  test.each([IN_TOTO, 'text/plain', 'application/spdx+json'])(
    'an archive with the media type %s is an image',
    async (type) => {
      expect(await kindOf([json(type), blob(type, gzipSync(await tar()))])).toBe('image');
    },
  );

  test('a tar of Unix version 7, without magic, is an image', async () => {
    const old = Buffer.from(await tar());
    const sum = (): number => old.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    old.fill(0, 257, 265);
    old.fill(0x20, 148, 156);
    old.write(`${sum().toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    expect(await kindOf([blob('text/plain', old)])).toBe('image');
    old.write('0000000', 148, 'latin1');
    expect(await kindOf([blob('text/plain', old)])).toBe('artifact');
  });

  test('a tar with an empty checksum whose signed bytes add up to 0 is an image', async () => {
    const odd = Buffer.from(await tar());
    odd.fill(0, 0, 512);
    // The checksum field counts as eight spaces, 256 in all, which the signed bytes of the name cancel out.
    odd.fill(0x80, 0, 2);
    for (const blank of ['', ' '.repeat(8), '\0 \0 \0 \0 ']) {
      odd.fill(0, 148, 156).write(blank, 148, 'latin1');
      expect(await kindOf([blob('text/plain', odd)])).toBe('image');
    }
    odd.fill(0x80, 2, 3);
    expect(await kindOf([blob('text/plain', odd)])).toBe('artifact');
  });

  test("a Docker manifest is an image whatever its config's media type", async () => {
    const made = { mediaType: DOCKER_MANIFEST, configType: 'application/x' };
    expect(await kindOf([blob('text/plain', await tar())], made)).toBe('image');
  });

  test('an image whose config does not list its layers is refused', async () => {
    await expect(kindOf([blob(SIMPLE_SIGNING, await tar())], { diffIds: 0 })).rejects.toMatchObject({
      code: 'IMAGE_CONFIG_MISMATCH',
    });
  });

  test('a layer that is too large to read counts as a file system', async () => {
    const large = { ...json('text/plain'), size: SNIFFED_BYTES + 1 };
    expect(await kindOf([large])).toBe('image');
    expect(repository.calls.filter(({ what }) => what === large.digest)).toEqual([]);
  });

  test('a layer listed many times is read once, and too many layers count as a file system', async () => {
    const signature = blob(SIMPLE_SIGNING, Buffer.from('{"critical":{"read":"once"}}'));
    expect(await kindOf(Array.from({ length: 2 * MOST_SNIFFED_LAYERS }, () => signature))).toBe('artifact');
    expect(repository.count('openBlob')).toBe(1);
    // Also for another manifest, because strangers can list one blob in any number of referrers.
    expect(await kindOf([signature, signature])).toBe('artifact');
    expect(repository.count('openBlob')).toBe(1);
    const many = Array.from({ length: MOST_SNIFFED_LAYERS + 1 }, (_, index) =>
      blob(SIMPLE_SIGNING, Buffer.from(`{"n":${index}}`)),
    );
    expect(await kindOf(many)).toBe('image');
  });
});

describe("a manifest with an image's config media type that is not an image", () => {
  test('a cosign signature is not an image', async () => {
    expect(await kindOf([json(SIMPLE_SIGNING), json(SIMPLE_SIGNING)])).toBe('artifact');
  });

  test('a BuildKit attestation is not an image', async () => {
    expect(await kindOf([json(IN_TOTO)])).toBe('attestation');
  });

  test('a text as long as a tar block is not an image', async () => {
    expect(await kindOf([blob('text/spdx', Buffer.from('SPDXVersion: SPDX-2.3\n'.repeat(100)))])).toBe('artifact');
  });

  test('the layers of an artifact with its own config type are not read', async () => {
    expect(await kindOf([blob('text/plain', gzipSync(await tar()))], { configType: 'application/x' })).toBe('artifact');
    expect(repository.count('openBlob')).toBe(0);
  });
});
