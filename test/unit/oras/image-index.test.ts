import { beforeEach, describe, expect, test } from '@jest/globals';
import { digestOf, encodeManifest, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST, type Descriptor } from 'acr-promoter/oci';
import { createIndex, toGoDescriptor, updateIndex, type IndexProgress } from 'acr-promoter/oras';
import { putBlob, putImage, text } from '../../support/graphs.js';
import { MemoryRepository } from '../../support/memory-repository.js';

let repository: MemoryRepository;
let told: string[];
const onProgress = (progress: IndexProgress): void => {
  told.push('reference' in progress ? `${progress.state} ${progress.reference}` : progress.state);
};

/** An image with this text for a config. */
async function put(tag: string, config: string, more: object = {}): Promise<Descriptor> {
  const blob = await putBlob(repository, 'test/config', text(config));
  const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, ...more, config: blob, layers: [] };
  return repository.pushManifest(encodeManifest(manifest), OCI_IMAGE_MANIFEST, { tag });
}

beforeEach(() => {
  repository = new MemoryRepository('localhost:5000/app');
  told = [];
});

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('createIndex', () => {
  test('keeps the order of the arguments and gives the bytes of the Go clients', async () => {
    const amd = await put('amd64', '{"os":"linux","architecture":"amd64"}');
    const arm = await put(
      'arm',
      '{"variant":"v7","os":"linux","os.features":["x"],"os.version":"1","architecture":"arm"}',
    );
    const { bytes, descriptor } = await createIndex(repository, ['arm', amd.digest, 'arm'], {
      tags: ['v1', 'latest'],
      artifactType: 'a/b',
      annotations: { z: '<1>', a: '2' },
      onProgress,
    });
    const entry = `{"mediaType":"${OCI_IMAGE_MANIFEST}","digest":"${arm.digest}","size":${arm.size},"platform":{"architecture":"arm","os":"linux","os.version":"1","os.features":["x"],"variant":"v7"}}`;
    expect(decode(bytes)).toBe(
      `{"schemaVersion":2,"mediaType":"${OCI_IMAGE_INDEX}","artifactType":"a/b","manifests":[${entry},` +
        `{"mediaType":"${OCI_IMAGE_MANIFEST}","digest":"${amd.digest}","size":${amd.size},"platform":{"architecture":"amd64","os":"linux"}},` +
        `${entry}],"annotations":{"a":"2","z":"\\u003c1\\u003e"}}`,
    );
    expect(descriptor.digest).toBe(digestOf(bytes));
    expect(repository.tags.get('latest')).toBe(descriptor.digest);
    expect(told).toEqual([
      'fetching arm',
      'fetched arm',
      `fetching ${amd.digest}`,
      `fetched ${amd.digest}`,
      'fetching arm',
      'fetched arm',
      'made',
      'pushed',
      'tagged',
    ]);
  });

  test.each([
    ['no json', undefined],
    ['[]', undefined],
    ['{}', undefined],
    ['{"os":"linux","architecture":5}', undefined],
    ['{"os":"linux","architecture":"arm","variant":[]}', undefined],
    ['{"os":"linux"}', { architecture: '', os: 'linux' }],
    [
      '{"os":"linux","architecture":"arm","os.features":[1,"x"]}',
      { architecture: 'arm', os: 'linux', 'os.features': ['x'] },
    ],
  ])('the platform that a config of %s names', async (config, platform) => {
    await put('v1', config);
    const { bytes } = await createIndex(repository, ['v1'], { push: false });
    const { manifests } = JSON.parse(decode(bytes)) as { manifests: { platform?: object }[] };
    expect(manifests[0]?.platform).toEqual(platform);
    expect(repository.manifests.size).toBe(1);
  });

  test('lists artifact types, and no platform for an index in an index', async () => {
    await put('artifact', '{"os":"linux","architecture":"amd64"}', { artifactType: 'a/b' });
    await createIndex(repository, ['artifact'], { tags: ['index'], artifactType: 'i/i' });
    const { bytes } = await createIndex(repository, ['artifact', 'index'], { push: false });
    const { manifests } = JSON.parse(decode(bytes)) as { manifests: object[] };
    expect(manifests).toMatchObject([{ artifactType: 'a/b', platform: { os: 'linux' } }, { artifactType: 'i/i' }]);
    expect(Object.keys(manifests[1] ?? {})).toEqual(['mediaType', 'digest', 'size', 'artifactType']);
  });

  test('an index may have no manifests', async () => {
    const { bytes } = await createIndex(repository, []);
    expect(decode(bytes)).toBe(`{"schemaVersion":2,"mediaType":"${OCI_IMAGE_INDEX}","manifests":[]}`);
  });

  test('invalid input is refused before any request', async () => {
    for (const artifactType of ['bad', 'a/', '/b', 'a/b/c', 'a b/c', `a/${'b'.repeat(200)}`]) {
      await expect(createIndex(repository, ['v1'], { artifactType })).rejects.toMatchObject({
        code: 'MEDIA_TYPE_INVALID',
      });
    }
    await expect(createIndex(repository, ['v1'], { tags: ['a b'] })).rejects.toMatchObject({
      code: 'REFERENCE_INVALID',
    });
    expect(repository.calls).toEqual([]);
    await expect(createIndex(repository, ['nope'])).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    await put('v1', '{}');
    const digest = digestOf(text('another'));
    await expect(createIndex(repository, ['v1'], { digest })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(repository.manifests.size).toBe(1);
  });
});

describe('updateIndex', () => {
  let a: Descriptor;
  let b: Descriptor;
  let c: Descriptor;
  beforeEach(async () => {
    a = await put('a', '{"os":"linux","architecture":"a"}');
    b = await put('b', '{"os":"linux","architecture":"b"}');
    c = await put('c', '{"os":"linux","architecture":"c"}');
    await createIndex(repository, ['a', 'b', 'a'], { tags: ['v1'], annotations: { k: 'v' }, artifactType: 'i/i' });
    await createIndex(repository, ['c'], { tags: ['other'] });
  });

  const digestsIn = (bytes: Uint8Array): string[] =>
    (JSON.parse(decode(bytes)) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest);

  test('an update removes, adds and merges entries in this order, and keeps everything else', async () => {
    const before = repository.tags.get('v1') ?? '';
    const { bytes, descriptor } = await updateIndex(repository, 'v1', {
      tags: ['v1'],
      extraTags: ['v2'],
      remove: [a.digest, a.digest],
      merge: ['other'],
      add: ['b', a.digest],
      onProgress,
    });
    expect(digestsIn(bytes)).toEqual([b.digest, b.digest, a.digest, c.digest]);
    expect(JSON.parse(decode(bytes))).toMatchObject({ annotations: { k: 'v' }, artifactType: 'i/i' });
    expect(told).toEqual([
      'fetching v1',
      'fetched v1',
      'removed',
      'fetching b',
      'fetched b',
      'added b',
      `fetching ${a.digest}`,
      `fetched ${a.digest}`,
      `added ${a.digest}`,
      'fetching other',
      'fetched other',
      'merged other',
      'made',
      'pushed',
      'tagged',
    ]);
    expect(repository.tags.get('v1')).toBe(descriptor.digest);
    expect(repository.tags.get('v2')).toBe(descriptor.digest);
    // The one before is still there, for anybody who names its digest.
    expect(repository.manifests.has(before)).toBe(true);
  });

  test('sets or removes the artifact type', async () => {
    const changed = await updateIndex(repository, 'v1', { artifactType: 'new/type', push: false });
    expect(JSON.parse(decode(changed.bytes))).toMatchObject({ artifactType: 'new/type' });
    const removed = await updateIndex(repository, 'v1', { artifactType: '', push: false });
    expect(Object.keys(JSON.parse(decode(removed.bytes)) as object)).not.toContain('artifactType');
  });

  test('refuses an invalid update and writes nothing', async () => {
    const before = [...repository.tags];
    const none = digestOf(text('none'));
    await expect(updateIndex(repository, 'v1', { remove: [none] })).rejects.toMatchObject({
      code: 'INDEX_ENTRY_UNKNOWN',
    });
    await expect(updateIndex(repository, 'v1', { remove: ['a'] })).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
    await expect(updateIndex(repository, 'a', { add: ['b'] })).rejects.toMatchObject({ code: 'NOT_AN_INDEX' });
    await expect(updateIndex(repository, 'v1', { merge: ['a'] })).rejects.toMatchObject({ code: 'NOT_AN_INDEX' });
    await expect(updateIndex(repository, 'v1', { add: ['nope'] })).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    await expect(updateIndex(repository, 'v1', { artifactType: 'bad' })).rejects.toMatchObject({
      code: 'MEDIA_TYPE_INVALID',
    });
    await expect(updateIndex(repository, 'v1', { add: ['b'], extraTags: ['bad tag'] })).rejects.toMatchObject({
      code: 'REFERENCE_INVALID',
    });
    expect([...repository.tags]).toEqual(before);
  });
});

test('descriptors have the field order of the Go clients, without empty fields', () => {
  const digest = digestOf(text('x'));
  const full: Descriptor = {
    artifactType: 'a/b',
    platform: { os: 'linux', architecture: 'arm', variant: 'v7', 'os.features': [] },
    data: 'e30=',
    annotations: { '\u{10000}': '1', '\uffff': '2', a: '3' },
    urls: ['https://example.org'],
    size: 1,
    digest,
    mediaType: 'x/y',
  };
  expect(JSON.stringify(toGoDescriptor(full))).toBe(
    `{"mediaType":"x/y","digest":"${digest}","size":1,"urls":["https://example.org"],"annotations":{"a":"3","\uffff":"2","\u{10000}":"1"},` +
      '"data":"e30=","platform":{"architecture":"arm","os":"linux","variant":"v7"},"artifactType":"a/b"}',
  );
  const bare = toGoDescriptor({
    mediaType: 'x/y',
    digest,
    size: 1,
    annotations: {},
    urls: [],
    data: '',
    artifactType: '',
  });
  expect(Object.keys(bare)).toEqual(['mediaType', 'digest', 'size']);
});

test('an image without a platform in its config gets none in the index', async () => {
  await putImage(repository, ['a'], 'v1');
  const { bytes } = await createIndex(repository, ['v1'], { push: false });
  expect(decode(bytes)).not.toContain('platform');
});
