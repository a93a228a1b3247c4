import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { missingAt } from '../../../support/missing-at.js';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  copyGraph,
  digestOf,
  encodeManifest,
  isNothingMissing,
  OCI_IMAGE_MANIFEST,
  openLayout,
  planGraph,
  verifyArrival,
  type Descriptor,
} from 'acr-promoter/oci';
import { copyArtifact } from 'acr-promoter/oras';
import { once, putBlob, putImage, putIndex, putRealGraph, putReferrer, text } from '../../../support/graphs.js';
import { MemoryRepository } from '../../../support/memory-repository.js';

let root = '';
let counter = 0;
const folder = (): string => join(root, `layout-${(counter += 1)}`);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'layout-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const readIndex = async (path: string): Promise<{ manifests: Descriptor[] }> =>
  JSON.parse(await readFile(join(path, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
const drain = async (body: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};
/** Files of blobs are read-only. */
async function damage(path: string, content: string): Promise<void> {
  await rm(path);
  await writeFile(path, content);
}

describe('openLayout', () => {
  test('creates an empty layout with the option create', async () => {
    const path = folder();
    await expect(openLayout(path)).rejects.toMatchObject({ code: 'LAYOUT_NOT_FOUND' });
    await openLayout(path, { create: true });
    expect(await readFile(join(path, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}');
    expect((await readIndex(path)).manifests).toEqual([]);
    await openLayout(path);
  });

  test('creates a layout in a folder with other files, or without its marker', async () => {
    const path = folder();
    await mkdir(path);
    await writeFile(join(path, 'other'), 'kept');
    await expect(openLayout(path)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    await putImage(await openLayout(path, { create: true }), ['a'], 'v1');
    await rm(join(path, 'oci-layout'));
    await openLayout(path, { create: true });
    expect((await readIndex(path)).manifests).toHaveLength(1);
    expect(await readFile(join(path, 'other'), 'utf8')).toBe('kept');
  });

  test('an index.json of something else is not changed', async () => {
    const path = folder();
    await mkdir(path);
    await writeFile(join(path, 'index.json'), '{"name":"site"}');
    await expect(openLayout(path, { create: true })).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    expect(await readdir(path)).toEqual(['index.json']);
    expect(await readFile(join(path, 'index.json'), 'utf8')).toBe('{"name":"site"}');
  });

  test.each([
    ['of an unknown version', { 'oci-layout': '{"imageLayoutVersion":"2.0.0"}' }],
    ['whose marker is no JSON', { 'oci-layout': 'x' }],
    ['whose marker is no object', { 'oci-layout': '[]' }],
  ])('refuses a folder %s', async (_, files: Record<string, string>) => {
    const path = folder();
    await mkdir(path);
    await writeFile(join(path, 'other'), '');
    for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
    await expect(openLayout(path, { create: true })).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  test.each([
    ['no JSON', '{', 'LAYOUT_INVALID'],
    ['no list', '{"manifests":{}}', 'LAYOUT_INVALID'],
    [
      'a digest that leads out of the layout',
      '{"manifests":[{"mediaType":"x","digest":"sha256:../../x","size":1}]}',
      'DESCRIPTOR_INVALID',
    ],
  ])('refuses an index with %s', async (_, index, code) => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    await writeFile(join(path, 'index.json'), index);
    await expect(layout.resolve('v1')).rejects.toMatchObject({ code });
  });
});

describe('a layout that cannot be written', () => {
  test.each(['/proc/no-such-folder/x', join('package.json', 'x')])('%s has a code of its own', async (path) => {
    await expect(openLayout(path, { create: true })).rejects.toMatchObject({ code: 'LAYOUT_UNWRITABLE' });
  });

  test('a source file that cannot be read is not reported as a layout error', async () => {
    const layout = await openLayout(folder(), { create: true });
    const descriptor = { mediaType: 'x/y', digest: digestOf(Buffer.from('x')), size: 1 };
    const absent = join(root, 'absent.txt');
    await expect(layout.pushBlob(descriptor, () => createReadStream(absent))).rejects.toMatchObject({ path: absent });
  });
});

describe('a layout folder as a repository', () => {
  test('stores tags in index.json as oras does', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const image = await putImage(layout, ['a'], 'v1');
    const sbom = await putReferrer(layout, image, 'sbom');
    expect((await readIndex(path)).manifests).toEqual([
      {
        mediaType: OCI_IMAGE_MANIFEST,
        digest: image.digest,
        size: image.size,
        annotations: { 'org.opencontainers.image.ref.name': 'v1' },
      },
      { mediaType: OCI_IMAGE_MANIFEST, digest: sbom.digest, size: sbom.size, artifactType: 'application/spdx+json' },
    ]);
    expect(await layout.resolve('v1')).toEqual({
      ...image,
      annotations: { 'org.opencontainers.image.ref.name': 'v1' },
    });
    expect(await layout.resolve(sbom.digest)).toEqual(sbom);
  });

  test('a tag points to one manifest; the previous one stays without a tag', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const first = await putImage(layout, ['a'], 'v1');
    const second = await putImage(layout, ['b'], 'v1');
    await putImage(layout, ['b'], 'v2');
    expect((await layout.resolve('v1')).digest).toBe(second.digest);
    expect((await layout.resolve(first.digest)).digest).toBe(first.digest);
    const tags: string[] = [];
    for await (const tag of layout.listTags()) tags.push(tag);
    expect(tags).toEqual(['v1', 'v2']);
    const later: string[] = [];
    for await (const tag of layout.listTags({ last: 'v1' })) later.push(tag);
    expect(later).toEqual(['v2']);
    expect((await readIndex(path)).manifests).toHaveLength(3);
  });

  test('finds a manifest that exists only as a blob, and its referrers', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const image = await putImage(layout, ['a'], 'v1');
    const sbom = await putReferrer(layout, image, 'sbom');
    await writeFile(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [] }));
    const again = await openLayout(path);
    expect(await again.resolve(image.digest)).toEqual(image);
    expect((await again.listReferrers(image.digest)).map(({ digest }) => digest)).toEqual([sbom.digest]);
    await expect(again.resolve('v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN', notFound: true });
  });

  test('lists referrers with type and annotations, and filters by type', async () => {
    const layout = await openLayout(folder(), { create: true });
    const image = await putImage(layout, ['a']);
    const sbom = await putReferrer(layout, image, 'sbom');
    await putReferrer(layout, image, 'signature', 'application/vnd.cncf.notary.signature');
    expect(await layout.listReferrers(image.digest)).toHaveLength(2);
    expect(await layout.listReferrers(image.digest, { artifactType: 'application/spdx+json' })).toEqual([
      { ...sbom, artifactType: 'application/spdx+json' },
    ]);
    expect(await layout.listReferrers(sbom.digest)).toEqual([]);
  });

  test('concurrent writers lose nothing', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const image = await putImage(layout, ['a']);
    await Promise.all(Array.from({ length: 30 }, (_, index) => putReferrer(layout, image, `${index}`)));
    expect(await layout.listReferrers(image.digest)).toHaveLength(30);
    expect((await readIndex(path)).manifests).toHaveLength(31);
    expect(await readdir(join(path, 'ingest'))).toEqual([]);
  });

  test('files of blobs and manifests are read-only, as in oras', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const image = await putImage(layout, ['closed'], 'v1');
    for (const name of await readdir(join(path, 'blobs', 'sha256'))) {
      expect((await stat(join(path, 'blobs', 'sha256', name))).mode & 0o777).toBe(0o444);
    }
    await layout.deleteManifest(image.digest);
    expect((await readdir(join(path, 'blobs', 'sha256'))).includes(image.digest.slice(7))).toBe(false);
  });

  test('a blob is read completely or from an offset', async () => {
    const layout = await openLayout(folder(), { create: true });
    const blob = await putBlob(layout, 'text/plain', text('0123456789'));
    expect(await drain(await layout.openBlob(blob))).toBe('0123456789');
    expect(await drain(await layout.openBlob(blob, { offset: 4 }))).toBe('456789');
    expect(await layout.hasBlob(blob)).toBe(true);
    const other = { ...blob, digest: digestOf(text('other')) };
    expect(await layout.hasBlob(other)).toBe(false);
    await expect(layout.openBlob(other)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });

  test.each([
    ['other bytes', 'abcdefghij', 'DIGEST_MISMATCH'],
    ['too few bytes', '012345678', 'SIZE_MISMATCH'],
    ['too many bytes', '0123456789+', 'SIZE_MISMATCH'],
  ])('refuses a blob with %s and leaves no file behind', async (_, sent, code) => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const descriptor = { mediaType: 'text/plain', digest: digestOf(text('0123456789')), size: 10 };
    await expect(layout.pushBlob(descriptor, () => once(text(sent)))).rejects.toMatchObject({ code });
    expect(await layout.hasBlob(descriptor)).toBe(false);
    expect(await readdir(join(path, 'ingest'))).toEqual([]);
  });

  test('reports a file that was changed on disk', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const blob = await putBlob(layout, 'text/plain', text('0123456789'));
    const image = await putImage(layout, ['a']);
    const file = ({ digest }: Descriptor): string => join(path, 'blobs', digest.replace(':', '/'));
    await damage(file(blob), 'abcdefghij');
    await expect(layout.openBlob(blob).then(drain)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await damage(file(image), 'x'.repeat(image.size));
    await expect(layout.fetchManifest(image)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await damage(file(image), 'x');
    await expect(layout.fetchManifest(image)).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
  });

  test('refuses content that is not a manifest', async () => {
    const layout = await openLayout(folder(), { create: true });
    await expect(layout.pushManifest(text('[]'), OCI_IMAGE_MANIFEST)).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
    });
    const blob = await putBlob(layout, 'application/json', text('{"some":"json"}'));
    await expect(layout.resolve(blob.digest)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });

  test('deletes a manifest with its tags', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const image = await putImage(layout, ['a'], 'v1');
    await putIndex(layout, [image], 'v2');
    await layout.deleteManifest(image.digest);
    await expect(layout.resolve('v1')).rejects.toMatchObject({ notFound: true });
    await expect(layout.deleteManifest(image.digest)).rejects.toMatchObject({ notFound: true });
    expect((await readIndex(path)).manifests).toHaveLength(1);
  });

  describe('deleting a manifest also deletes unused content', () => {
    const blobsOf = async (path: string): Promise<string[]> =>
      (await readdir(join(path, 'blobs', 'sha256'))).map((name) => `sha256:${name}`).sort();

    test('children of an index are deleted unless they have a tag, another index or a referrer', async () => {
      const path = folder();
      const layout = await openLayout(path, { create: true });
      const names = ['alone', 'tagged', 'shared', 'signed'];
      const [alone, tagged, shared, signed] = await Promise.all(
        names.map((name) => putImage(layout, ['base', name], name === 'tagged' ? name : undefined)),
      );
      if (!alone || !tagged || !shared || !signed) throw new Error('no images');
      const signature = await putReferrer(layout, signed, 'signature');
      const top = await putIndex(layout, [alone, tagged, shared, signed], 'v1');
      const other = await putIndex(layout, [shared], 'v2');
      const of = await putReferrer(layout, top, 'sbom');
      await putReferrer(layout, of, 'signature of the sbom');
      await layout.deleteManifest(top.digest);
      const rest = [tagged, shared, signed, signature, other].map(({ digest }) => digest);
      expect((await readIndex(path)).manifests.map(({ digest }) => digest).sort()).toEqual(rest.sort());
      for (const each of rest) await planGraph(layout, await layout.resolve(each));
      expect(await layout.hasBlob({ mediaType: 'x/y', digest: digestOf(text('alone')), size: 5 })).toBe(false);
      expect(await layout.hasBlob({ mediaType: 'x/y', digest: digestOf(text('base')), size: 4 })).toBe(true);
      await layout.deleteManifest(other.digest);
      await layout.deleteManifest(tagged.digest);
      await layout.deleteManifest(signature.digest);
      // The subject of a deleted referrer is kept.
      expect((await readIndex(path)).manifests).toMatchObject([{ digest: signed.digest }]);
      await layout.deleteManifest(signed.digest);
      expect(await blobsOf(path)).toEqual([]);
    });

    test('blobs of a manifest that is not in index.json are kept', async () => {
      const path = folder();
      const layout = await openLayout(path, { create: true });
      const [image, lying] = [await putImage(layout, ['base', 'a'], 'v1'), await putImage(layout, ['base', 'b'])];
      const index = await readIndex(path);
      const manifests = index.manifests.filter(({ digest }) => digest === image.digest);
      await writeFile(join(path, 'index.json'), JSON.stringify({ ...index, manifests }));
      await layout.deleteManifest(image.digest);
      await planGraph(layout, await layout.resolve(lying.digest));
      expect(await blobsOf(path)).toHaveLength(4);
      await layout.deleteManifest(lying.digest);
      expect(await blobsOf(path)).toEqual([]);
    });

    test('only referrers are deleted if index.json names unreadable content', async () => {
      const path = folder();
      const layout = await openLayout(path, { create: true });
      const image = await putImage(layout, ['base'], 'v1');
      await putReferrer(layout, image, 'sbom');
      const unknown = await putBlob(layout, 'x/y', text(JSON.stringify({ needs: digestOf(text('base')) })));
      const index = await readIndex(path);
      const manifests = [...index.manifests, unknown];
      await writeFile(join(path, 'index.json'), JSON.stringify({ ...index, manifests }));
      await layout.deleteManifest(image.digest);
      expect((await readIndex(path)).manifests).toMatchObject([{ digest: unknown.digest }]);
      expect(await layout.hasBlob({ mediaType: 'x/y', digest: digestOf(text('base')), size: 4 })).toBe(true);
    });

    test('an interrupted deletion leaves no entry without its file', async () => {
      const source = await openLayout(folder(), { create: true });
      const { root: top } = await putRealGraph(source);
      for (let allowed = 0, isDone = false; !isDone; allowed += 1) {
        const path = folder();
        await copyArtifact(source, top.digest, await openLayout(path, { create: true }), {
          recursive: true,
          tags: ['v1'],
        });
        let asked = 0;
        // Called before each write.
        const throwIfAborted = (): void => {
          if ((asked += 1) > allowed) throw new Error('broken off');
        };
        const signal = Object.assign(new AbortController().signal, { throwIfAborted });
        const layout = await openLayout(path, { write: true, signal });
        isDone = await layout.deleteManifest(top.digest).then(
          () => true,
          () => false,
        );
        const after = await openLayout(path);
        for (const { digest } of (await readIndex(path)).manifests) {
          const plan = await planGraph(after, await after.resolve(digest), { recursive: true });
          expect(isNothingMissing(await missingAt(plan, after))).toBe(true);
        }
      }
    });
  });

  test('a null list of manifests, which oras writes after the last deletion, is empty', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    await writeFile(join(path, 'index.json'), '{"schemaVersion":2,"manifests":null}');
    await putImage(layout, ['a'], 'v1');
    expect((await readIndex(path)).manifests).toHaveLength(1);
  });

  test('index.json keeps the annotations of each tag', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const platform = { os: 'linux', architecture: 'amd64' };
    const image = await putImage(layout, ['a']);
    const bytes = (await layout.fetchManifest(image.digest)).bytes;
    const described = { ...image, platform, annotations: { a: '1', 'org.opencontainers.image.ref.name': 'old' } };
    await layout.pushManifest(bytes, image.mediaType, { tag: 'v1', described });
    await layout.pushManifest(bytes, image.mediaType, { tag: 'v2' });
    const tagged = { ...image, platform, annotations: { a: '1', 'org.opencontainers.image.ref.name': 'v1' } };
    const bare = { ...image, annotations: { 'org.opencontainers.image.ref.name': 'v2' } };
    expect((await readIndex(path)).manifests).toEqual([tagged, bare]);
    const other = await putImage(layout, ['b'], 'v2');
    await putImage(layout, ['b'], 'v1');
    expect((await readIndex(path)).manifests).toEqual([
      expect.objectContaining({ digest: other.digest }),
      { ...image, platform, annotations: { a: '1' } },
      expect.objectContaining({ digest: other.digest }),
    ]);
  });

  test('sha512 has a folder of its own', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const config = await putBlob(layout, 'application/vnd.oci.image.config.v1+json', text('{}'));
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [] });
    const digest = digestOf(bytes, 'sha512');
    const image = await layout.pushManifest(bytes, OCI_IMAGE_MANIFEST, { digest, tag: 'v1' });
    expect(image.digest).toBe(digest);
    expect(await readdir(join(path, 'blobs', 'sha512'))).toEqual([digest.slice('sha512:'.length)]);
    expect(await layout.fetchManifest('v1')).toMatchObject({
      descriptor: { mediaType: image.mediaType, digest, size: image.size },
    });
  });
});

test('a graph is copied from memory to a layout, to another layout and back without changes', async () => {
  const source = new MemoryRepository('source/app');
  const { root: top } = await putRealGraph(source);
  const first = await openLayout(folder(), { create: true });
  const second = await openLayout(folder(), { create: true });
  const back = new MemoryRepository('back/app');
  for (const [from, to] of [
    [source, first],
    [first, second],
    [second, back],
  ] as const) {
    const plan = await planGraph(from, top, { recursive: true });
    expect(plan.manifests).toHaveLength(8);
    await copyGraph(plan, from, to);
    await verifyArrival(plan, to, { source: from });
    expect(isNothingMissing(await missingAt(plan, to))).toBe(true);
  }
  expect([...back.blobs.keys()].sort()).toEqual([...source.blobs.keys()].sort());
});

describe('files truncated by a crash', () => {
  const fileOf = (path: string, digest: string): string => join(path, 'blobs', digest.replace(':', '/'));

  test('count as missing and are replaced', async () => {
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const image = await putImage(layout, ['whole'], 'v1');
    const blob = { mediaType: 'text/plain', digest: digestOf(text('whole')), size: 5 };
    const manifest = await readFile(fileOf(path, image.digest));
    for (const { digest } of [blob, image]) await damage(fileOf(path, digest), 'wh');
    expect(await layout.hasBlob(blob)).toBe(false);
    await layout.pushBlob(blob, () => once(text('whole')));
    await layout.pushManifest(manifest, image.mediaType);
    expect(await layout.hasBlob(blob)).toBe(true);
    expect(await readFile(fileOf(path, blob.digest), 'utf8')).toBe('whole');
    expect(await readFile(fileOf(path, image.digest))).toEqual(manifest);
  });

  test('are replaced by the next copy, whether the tag exists or not', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['whole', 'other'], 'v1');
    const referrer = await putReferrer(source, image, 'sbom');
    const path = folder();
    const layout = await openLayout(path, { create: true });
    const options = { recursive: true, tags: ['v1'] };
    await copyArtifact(source, 'v1', layout, options);
    const digests = [...source.blobs.keys(), image.digest, referrer.digest];
    for (const [at, digest] of digests.entries()) {
      if (at % 2 === 0) await damage(fileOf(path, digest), 'w');
      else await rm(fileOf(path, digest));
    }
    await copyArtifact(source, 'v1', await openLayout(path), options);
    for (const digest of digests) expect(digestOf(await readFile(fileOf(path, digest)))).toBe(digest);
    expect(await (await openLayout(path)).listReferrers(image.digest)).toHaveLength(1);
  });
});
