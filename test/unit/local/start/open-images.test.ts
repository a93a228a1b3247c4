import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImages } from '../../../../local/start/push.js';
import { openLayout, packArtifact, pushPacked, type Descriptor } from '../../../../src/oci/index.js';

let folder: string;
let digests: Descriptor[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-layouts-'));
  digests = [];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A layout whose index lists the manifests `a` and `b`, each as often as given. */
async function layoutOf(name: string, entries: { manifest: 'a' | 'b'; refName?: string }[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  const layout = await openLayout(path, { create: true });
  const pushed: Record<string, Descriptor> = {};
  for (const letter of ['a', 'b']) {
    const packed = packArtifact({
      artifactType: 'text/example',
      layers: [{ mediaType: 'text/plain', bytes: Buffer.from(letter) }],
    });
    await pushPacked(layout, packed);
    pushed[letter] = packed.descriptor;
  }
  digests = Object.values(pushed);
  const manifests = entries.map(({ manifest, refName }) => ({
    ...pushed[manifest],
    ...(refName !== undefined && { annotations: { 'org.opencontainers.image.ref.name': refName } }),
  }));
  await writeFile(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return path;
}

async function tagsOf(image: string): Promise<string[]> {
  return (await openImages(image)).images.map(({ name, tag }) => `${name} as ${tag}`);
}

test('every tag is pushed, in order; a full reference under its tag, an invalid name as latest', async () => {
  const path = await layoutOf('tags', [
    { manifest: 'b', refName: 'v2' },
    { manifest: 'a', refName: 'registry.example:5000/app:v1' },
    { manifest: 'a', refName: 'no tag at all' },
  ]);
  expect(await tagsOf(path)).toEqual(['no tag at all as latest', 'registry.example:5000/app:v1 as v1', 'v2 as v2']);
});

test('tags of referrers are not pushed as images', async () => {
  const path = await layoutOf('referrers', [
    { manifest: 'a', refName: 'v1' },
    { manifest: 'b', refName: `sha256-${'0'.repeat(64)}` },
    { manifest: 'b', refName: `sha256-${'0'.repeat(64)}.sig` },
  ]);
  expect(await tagsOf(path)).toEqual(['v1 as v1']);
});

test('the only manifest of a layout without tags is pushed', async () => {
  const path = await layoutOf('untagged', [{ manifest: 'b' }, { manifest: 'b' }]);
  expect(await tagsOf(path)).toEqual([`${digests[1]?.digest} as latest`]);
});

test('one of several images is selected by tag or digest', async () => {
  const path = await layoutOf('chosen', [
    { manifest: 'a', refName: 'v1' },
    { manifest: 'b', refName: 'v2' },
  ]);
  expect(await tagsOf(`${path}:v2`)).toEqual(['v2 as v2']);
  expect(await tagsOf(`${path}@${digests[0]?.digest}`)).toEqual([`${digests[0]?.digest} as latest`]);
  await expect(openImages(`${path}:v3`)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
});

test('a layout without an image, and an ambiguous one, are refused', async () => {
  const empty = await layoutOf('empty', []);
  const untagged = await layoutOf('two', [{ manifest: 'a' }, { manifest: 'b' }]);
  const twice = await layoutOf('twice', [
    { manifest: 'a', refName: 'one.example/app:v1' },
    { manifest: 'b', refName: 'two.example/app:v1' },
  ]);
  await expect(openImages(empty)).rejects.toMatchObject({ code: 'LAYOUT_EMPTY' });
  await expect(openImages(untagged)).rejects.toMatchObject({
    code: 'LAYOUT_AMBIGUOUS',
    remedy: expect.stringContaining(`${untagged}@sha256:`),
  });
  await expect(openImages(twice)).rejects.toMatchObject({ code: 'LAYOUT_AMBIGUOUS' });
  await expect(openImages(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'LAYOUT_NOT_FOUND' });
  await expect(openImages(folder)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
});
