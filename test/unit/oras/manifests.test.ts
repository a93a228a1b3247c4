import { beforeEach, describe, expect, test } from '@jest/globals';
import { digestOf, OCI_EMPTY, OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST, packArtifact, pushPacked } from 'acr-promoter/oci';
import {
  deleteManifest,
  fetchConfig,
  pushManifest,
  resolveConfig,
  tagManifest,
  type UploadProgress,
} from 'acr-promoter/oras';
import { putBlob, putImage, putIndex, text } from '../../support/graphs.js';
import { MemoryRepository } from '../../support/memory-repository.js';

let repository: MemoryRepository;
beforeEach(() => {
  repository = new MemoryRepository('localhost:5000/app');
});

describe('tagManifest', () => {
  test('tags the manifest of a tag or digest, and fetches it once', async () => {
    const image = await putImage(repository, ['a'], 'v1');
    const tagged: string[] = [];
    const resolved: string[] = [];
    const descriptor = await tagManifest(repository, 'v1', ['v2', 'latest', 'v2'], {
      onResolved: ({ digest }) => resolved.push(digest),
      onTagged: (tag) => tagged.push(tag),
    });
    expect(descriptor.digest).toBe(image.digest);
    expect(resolved).toEqual([image.digest]);
    // Named twice, it is told twice.
    expect(tagged.toSorted()).toEqual(['latest', 'v2', 'v2']);
    expect(repository.tags.get('latest')).toBe(image.digest);
    expect(repository.count('fetchManifest')).toBe(1);
    await tagManifest(repository, image.digest, ['by-digest']);
    expect(repository.tags.get('by-digest')).toBe(image.digest);
  });

  test('sends no request if one of the tags is invalid', async () => {
    await putImage(repository, ['a'], 'v1');
    const before = repository.calls.length;
    for (const tags of [['v2', 'a,b'], [''], ['-x'], [digestOf(text('x'))]]) {
      await expect(tagManifest(repository, 'v1', tags)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
    }
    await expect(tagManifest(repository, 'v1', [])).rejects.toMatchObject({ code: 'TAG_MISSING' });
    expect(repository.calls.length).toBe(before);
    expect([...repository.tags.keys()]).toEqual(['v1']);
  });

  test('fails with the first error, and starts no further tag', async () => {
    await putImage(repository, ['a'], 'v1');
    repository.failNth('pushManifest', 2, new Error('broken'));
    await expect(tagManifest(repository, 'v1', ['a', 'b', 'c', 'd'], { concurrency: 1 })).rejects.toThrow('broken');
    expect([...repository.tags.keys()]).toEqual(['v1', 'a']);
  });
});

describe('fetchConfig', () => {
  test('fetches the config of an image with its descriptor', async () => {
    await putImage(repository, ['a'], 'v1');
    const config = await resolveConfig(repository, 'v1');
    expect(config.mediaType).toBe(OCI_IMAGE_CONFIG);
    expect(digestOf(await fetchConfig(repository, config))).toBe(config.digest);
    const packed = packArtifact({ artifactType: 'a/b', layers: [] });
    await pushPacked(repository, packed, { tag: 'artifact' });
    expect(await resolveConfig(repository, 'artifact')).toMatchObject({ mediaType: OCI_EMPTY, data: 'e30=' });
  });

  test('refuses an index and a config that is too large', async () => {
    const image = await putImage(repository, ['a']);
    await putIndex(repository, [image], 'index');
    await expect(resolveConfig(repository, 'index')).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
    await expect(
      resolveConfig(repository, 'index', { platform: { os: 'linux', architecture: 'arm64' } }),
    ).rejects.toMatchObject({ code: 'PLATFORM_NOT_FOUND' });
    const config = { ...(await resolveConfig(repository, image.digest)), size: 17 * 1024 * 1024 };
    const before = repository.count('openBlob');
    await expect(async () => fetchConfig(repository, config)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(repository.count('openBlob')).toBe(before);
  });
});

describe('pushManifest', () => {
  const states: string[] = [];
  const onProgress = ({ state }: UploadProgress): void => void states.push(state);
  beforeEach(() => {
    states.length = 0;
  });

  async function imageBytes(): Promise<Uint8Array> {
    const config = await putBlob(repository, OCI_IMAGE_CONFIG, text('{}'));
    // Not as anybody would lay it out: the bytes must stay what they are.
    return text(
      `{ "mediaType":"${OCI_IMAGE_MANIFEST}",\n "schemaVersion":2, "layers":[], "config":${JSON.stringify(config)} }\n`,
    );
  }

  test('pushes bytes unchanged under all tags, and does not send existing content', async () => {
    const bytes = await imageBytes();
    const tagged: string[] = [];
    const pushed = await pushManifest(repository, bytes, {
      tags: ['v1', 'v2', 'v3'],
      onProgress,
      onTagged: (tag) => tagged.push(tag),
    });
    expect(pushed).toEqual({ mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(bytes), size: bytes.length });
    expect(Buffer.from((await repository.fetchManifest('v3')).bytes).equals(bytes)).toBe(true);
    expect(tagged.toSorted()).toEqual(['v2', 'v3']);
    expect(states).toEqual(['uploading', 'uploaded']);
    const before = repository.count('pushManifest');
    await pushManifest(repository, bytes, { tags: ['v1'], onProgress });
    await pushManifest(repository, bytes, { onProgress });
    expect(repository.count('pushManifest')).toBe(before);
    expect(states.slice(2)).toEqual(['exists', 'exists']);
    await pushManifest(repository, bytes, { tags: ['v4'], onProgress });
    expect(states.slice(4)).toEqual(['uploading', 'uploaded']);
  });

  test('pushes under the algorithm of the given digest', async () => {
    const bytes = await imageBytes();
    const digest = digestOf(bytes, 'sha512');
    expect((await pushManifest(repository, bytes, { digest })).digest).toBe(digest);
    expect(repository.manifests.has(digest)).toBe(true);
  });

  test('refuses invalid input before any request', async () => {
    const bytes = await imageBytes();
    const untyped = text('{"schemaVersion":2}');
    const before = repository.calls.length;
    await expect(pushManifest(repository, untyped)).rejects.toMatchObject({ code: 'MEDIA_TYPE_MISSING' });
    await expect(pushManifest(repository, text('no json'))).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
    await expect(pushManifest(repository, new Uint8Array([0xff]))).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
    await expect(pushManifest(repository, bytes, { digest: digestOf(text('x')) })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    const large = new Uint8Array(4 * 1024 * 1024 + 1);
    await expect(pushManifest(repository, large, { mediaType: 'a/b' })).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(repository.calls.length).toBe(before);
  });
});

describe('deleteManifest', () => {
  test('deletes a manifest with its tags after confirmation', async () => {
    const image = await putImage(repository, ['a'], 'v1');
    await tagManifest(repository, 'v1', ['v2']);
    const asked: string[] = [];
    const confirm = (answer: boolean) => (descriptor: { digest: string }) => {
      asked.push(descriptor.digest);
      return Promise.resolve(answer);
    };
    expect(await deleteManifest(repository, 'v1', { confirm: confirm(false) })).toMatchObject({ state: 'cancelled' });
    expect(repository.manifests.size).toBe(1);
    const deleted = await deleteManifest(repository, 'v1', { confirm: confirm(true) });
    expect(deleted).toMatchObject({ state: 'deleted', descriptor: { digest: image.digest } });
    expect(asked).toEqual([image.digest, image.digest]);
    expect(repository.tags.size).toBe(0);
  });

  test('fails for a missing manifest, unless that is allowed', async () => {
    await expect(deleteManifest(repository, 'v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    expect(await deleteManifest(repository, 'v1', { ignoreMissing: true })).toEqual({ state: 'missing' });
    await putImage(repository, ['a'], 'v1');
    // Somebody else is faster.
    repository.fault = ({ method }) => {
      if (method === 'deleteManifest') repository.manifests.clear();
    };
    expect(await deleteManifest(repository, 'v1', { ignoreMissing: true })).toEqual({ state: 'missing' });
    await putImage(repository, ['a'], 'v1');
    repository.fault = () => {
      throw new Error('broken');
    };
    await expect(deleteManifest(repository, 'v1', { ignoreMissing: true })).rejects.toThrow('broken');
  });
});
