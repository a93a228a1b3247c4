import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeSampleImage, type SampleImage } from '../../../../local/start/sample-image.js';
import { digestOf, parseManifest, type ImageManifest } from '../../../../src/oci/index.js';
import { createStreamingSbomGenerator, type Sbom } from '../../../../src/sbom/index.js';

let folder: string;
let image: SampleImage;
let manifest: ImageManifest;

const blob = (digest: string): string => join(image.path, 'blobs/sha256', digest.slice('sha256:'.length));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sample-image-test-'));
  image = await makeSampleImage(join(folder, 'one'));
  const parsed = parseManifest(await readFile(blob(image.digest)), '', image.digest);
  if (parsed.kind !== 'image') throw new Error(`the sample is an ${parsed.kind}`);
  manifest = parsed;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function sbom(): Promise<Sbom> {
  const { digest, size } = await readFile(blob(image.digest)).then((bytes) => ({
    digest: digestOf(bytes),
    size: bytes.length,
  }));
  const [made] = await createStreamingSbomGenerator().generate({
    name: 'registry.example/samples/hello',
    descriptor: { mediaType: manifest.mediaType, digest, size },
    manifest,
    signal: new AbortController().signal,
    openBlob: async (descriptor) => createReadStream(blob(descriptor.digest)),
  });
  if (made === undefined) throw new Error('no SBOM was made');
  return made;
}

describe('the sample image', () => {
  test('has the same digest when it is made again', async () => {
    const again = await makeSampleImage(join(folder, 'two'));
    expect(again.digest).toBe(image.digest);
    expect(await readdir(join(again.path, 'blobs/sha256'))).toEqual(await readdir(join(image.path, 'blobs/sha256')));
  });

  test('is a valid OCI layout: each blob matches its digest, and the config lists the unpacked layers', async () => {
    const index = JSON.parse(await readFile(join(image.path, 'index.json'), 'utf8')) as {
      manifests: { digest: string; size: number }[];
    };
    expect(index.manifests).toHaveLength(1);
    expect(index.manifests[0]?.digest).toBe(image.digest);
    for (const { digest, size } of [manifest.config, ...manifest.layers]) {
      const bytes = await readFile(blob(digest));
      expect({ digest: digestOf(bytes), size: bytes.length }).toEqual({ digest, size });
    }
    const config = JSON.parse(await readFile(blob(manifest.config.digest), 'utf8')) as {
      rootfs: { diff_ids: string[] };
      history: unknown[];
    };
    const unpacked = await Promise.all(
      manifest.layers.map(async ({ digest }) => digestOf(gunzipSync(await readFile(blob(digest))))),
    );
    expect(config.rootfs.diff_ids).toEqual(unpacked);
    expect(config.history).toHaveLength(unpacked.length);
    expect(unpacked.length).toBeGreaterThanOrEqual(3);
  });

  test('contains packages of this checkout, and its SBOM lists them as in the lock file', async () => {
    const { bytes, gaps, counts } = await sbom();
    const { components } = JSON.parse(new TextDecoder().decode(bytes)) as {
      components: { type: string; group?: string; name: string; version: string; purl?: string }[];
    };
    const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    const npm = components.filter(({ purl }) => purl?.startsWith('pkg:npm/') === true);
    expect(npm.length).toBeGreaterThanOrEqual(8);
    expect(npm.some(({ group }) => group !== undefined)).toBe(true);
    for (const { group, name, version } of npm) {
      const full = group === undefined ? name : `${group}/${name}`;
      expect([full, version]).toEqual([full, lock.packages[`node_modules/${full}`]?.version]);
    }
    expect(gaps).toEqual([]);
    expect(counts.npm).toBe(npm.length);
    // There is a fourth layer if the machine has dpkg.
    const debian = components.filter(({ purl }) => purl?.startsWith('pkg:deb/') === true);
    expect(debian.map(({ name }) => name)).toEqual(manifest.layers.length === 4 ? ['acr-promoter-sample'] : []);
    const systems = components.filter(({ type }) => type === 'operating-system');
    expect(components).toHaveLength(npm.length + debian.length + systems.length);
  });
});
