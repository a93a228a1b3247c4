import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  contentKindOf,
  digestOf,
  encodeManifest,
  OCI_ARTIFACT_MANIFEST,
  OCI_EMPTY,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  DOCKER_IMAGE_CONFIG,
  DOCKER_MANIFEST,
  parseManifest,
  type ContentKind,
  type Descriptor,
} from 'acr-promoter/oci';
import { MemoryRepository } from '../../support/memory-repository.js';
import { CONFIG_BYTES } from '../../../src/oci/content-kind.js';

const TAR_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
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

function kindOf(manifest: object): Promise<ContentKind> {
  const { mediaType = OCI_IMAGE_MANIFEST } = manifest as { mediaType?: string };
  // Each test uses its own manifest, because kinds are remembered by digest.
  const bytes = encodeManifest({ schemaVersion: 2, ...manifest, annotations: { seed: `${(seed += 1)}` } });
  return contentKindOf(repository, digestOf(bytes), parseManifest(bytes, mediaType, 'it'));
}

function made(layerTypes: string[], config: unknown, configType = OCI_IMAGE_CONFIG): object {
  const bytes = typeof config === 'string' ? Buffer.from(config, 'latin1') : Buffer.from(JSON.stringify(config));
  return {
    config: blob(configType, bytes),
    layers: layerTypes.map((type, index) => blob(type, Buffer.from(`layer ${index}`))),
  };
}

const listing = (count: number): unknown => ({
  rootfs: { type: 'layers', diff_ids: Array.from({ length: count }, (_, index) => digestOf(Buffer.from([index]))) },
});

describe('a manifest with a file-system layer', () => {
  test.each([
    'application/vnd.oci.image.layer.v1.tar',
    TAR_GZIP,
    'application/vnd.oci.image.layer.v1.tar+zstd',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
    'application/vnd.oci.image.layer.nydus.blob.v1',
    'application/vnd.oci.image.layer.v1.tar+gzip; charset=utf-8',
    'application/vnd.docker.image.rootfs.diff.tar',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    'application/vnd.docker.image.rootfs.diff.tar.zstd',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.docker.container.image.rootfs.diff+x-gtar',
    'application/vnd.erofs.layer.v1',
    'application/vnd.erofs.layer.v1+zstd',
    'application/x-tar',
    'application/x-gtar',
    'application/tar+gzip',
    'application/octet-stream',
  ])('%s is one: with a config that lists it, the manifest is an image', async (type) => {
    expect(await kindOf(made([type], listing(1)))).toBe('image');
  });

  test.each([
    OCI_IMAGE_CONFIG,
    DOCKER_IMAGE_CONFIG,
    'application/octet-stream',
    'application/json',
    'application/vnd.docker.plugin.v1+json',
    'application/vnd.example+json',
  ])('is an image whatever the media type of its config: %s', async (type) => {
    expect(await kindOf(made([TAR_GZIP], listing(1), type))).toBe('image');
  });

  test('is an image if only one of several layers is a file system', async () => {
    expect(await kindOf(made([TAR_GZIP, IN_TOTO], listing(2)))).toBe('image');
    expect(await kindOf(made([IN_TOTO, TAR_GZIP], listing(2)))).toBe('image');
  });

  test('is an image if its config is not UTF-8, which Go replaces', async () => {
    const config = JSON.stringify({ author: '\u00ff', ...(listing(1) as object) });
    expect(await kindOf(made([TAR_GZIP], config, 'application/octet-stream'))).toBe('image');
  });
});

describe('an image config that does not list each layer', () => {
  test.each([0, 1, 3])('is an error if it lists %i of 2 layers', async (count) => {
    await expect(kindOf(made([TAR_GZIP, TAR_GZIP], listing(count)))).rejects.toMatchObject({
      code: 'IMAGE_CONFIG_MISMATCH',
    });
  });

  test('is named with the number of layers', async () => {
    await expect(kindOf(made([TAR_GZIP], listing(3)))).rejects.toThrow(/ has 1 layer, but its config lists 3 in /);
    await expect(kindOf(made([TAR_GZIP, TAR_GZIP], listing(3)))).rejects.toThrow(/ has 2 layers, but /);
  });

  test('is an error for a chart if it lists any layer', async () => {
    await expect(kindOf(made([TAR_GZIP], listing(2), 'application/vnd.example+json'))).rejects.toMatchObject({
      code: 'IMAGE_CONFIG_MISMATCH',
    });
  });

  test.each(['{}', 'null', 'not JSON', '{"rootfs":null}', '{"rootfs":{"diff_ids":null}}'])(
    'is an error if podman would run the manifest, but not for an artifact: %s',
    async (config) => {
      await expect(kindOf(made([TAR_GZIP], config))).rejects.toMatchObject({ code: 'IMAGE_CONFIG_MISMATCH' });
      await expect(
        kindOf({ ...made([TAR_GZIP], config, 'application/json'), mediaType: DOCKER_MANIFEST }),
      ).rejects.toMatchObject({ code: 'IMAGE_CONFIG_MISMATCH' });
      expect(await kindOf(made([TAR_GZIP], config, OCI_EMPTY))).toBe('artifact');
    },
  );
});

describe('a layer without a known media type that is a tar', () => {
  const disguised = (configType: string, config: unknown): object => {
    const { config: described } = made([], config, configType) as { config: Descriptor };
    return { config: described, layers: [blob('text/plain', gzipSync('a tar'))] };
  };

  test.each([OCI_IMAGE_CONFIG, DOCKER_IMAGE_CONFIG, 'application/json', 'application/octet-stream', 'text/html'])(
    'makes the manifest an image if podman or Docker takes %s for an image',
    async (configType) => expect(await kindOf(disguised(configType, listing(1)))).toBe('image'),
  );

  test('does not make the manifest an image if neither would run it', async () => {
    expect(await kindOf(disguised('application/json', {}))).toBe('artifact');
    expect(await kindOf(disguised('application/vnd.example+json', listing(1)))).toBe('artifact');
    await expect(kindOf(disguised(OCI_IMAGE_CONFIG, {}))).rejects.toMatchObject({ code: 'IMAGE_CONFIG_MISMATCH' });
  });
});

describe('other manifests', () => {
  test('an index has the kind index, an artifact manifest the kind artifact', async () => {
    expect(await kindOf({ mediaType: OCI_IMAGE_INDEX, manifests: [] })).toBe('index');
    expect(await kindOf({ mediaType: OCI_ARTIFACT_MANIFEST, blobs: [] })).toBe('artifact');
  });

  test.each([IN_TOTO, 'application/vnd.in-toto.provenance+dsse', 'application/vnd.in-toto.bundle'])(
    'a manifest is an attestation only if all layers are in-toto: %s',
    async (type) => {
      expect(await kindOf(made([type, type], listing(2)))).toBe('attestation');
      expect(await kindOf(made([type, 'text/plain'], listing(2)))).toBe('artifact');
    },
  );

  test.each([
    [
      'a Helm chart',
      ['application/vnd.cncf.helm.chart.content.v1.tar+gzip'],
      'application/vnd.cncf.helm.config.v1+json',
    ],
    ['a folder of oras', [TAR_GZIP], OCI_EMPTY],
    ['a SOCI index', ['application/octet-stream'], 'application/vnd.amazon.soci.index.v1+json'],
    ['a cosign signature', ['application/vnd.dev.cosign.simplesigning.v1+json'], OCI_IMAGE_CONFIG],
    ['Wasm', ['application/wasm'], 'application/vnd.wasm.config.v0+json'],
    ['no layer', [], OCI_IMAGE_CONFIG],
  ])('%s is an artifact', async (_name, layers, configType) => {
    expect(await kindOf(made(layers, {}, configType))).toBe('artifact');
  });

  test('an artifact is recognized without reading its config', async () => {
    await kindOf(made([IN_TOTO], listing(1), OCI_EMPTY));
    await kindOf(made(['text/plain'], listing(1), OCI_EMPTY));
    await kindOf(made([TAR_GZIP], {}, OCI_EMPTY));
    expect(repository.count('openBlob')).toBe(0);
  });
});

test('a known kind costs no further request', async () => {
  const bytes = encodeManifest({ schemaVersion: 2, ...made([TAR_GZIP], listing(1)), annotations: { seed: 'again' } });
  const manifest = parseManifest(bytes, OCI_IMAGE_MANIFEST, 'it');
  for (let time = 0; time < 3; time += 1)
    expect(await contentKindOf(repository, digestOf(bytes), manifest)).toBe('image');
  expect(repository.count('openBlob')).toBe(1);
});

test('an oversized config is refused before it is read', async () => {
  const { layers } = made([TAR_GZIP], {}) as { layers: Descriptor[] };
  const config = { mediaType: OCI_IMAGE_CONFIG, digest: digestOf(Buffer.from('x')), size: CONFIG_BYTES + 1 };
  await expect(kindOf({ config, layers })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  expect(repository.count('openBlob')).toBe(0);
});
