import { describe, expect, test } from '@jest/globals';
import {
  ARTIFACT_STREAMING,
  compareGraphs,
  digestOf,
  encodeManifest,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  TransportError,
  type Descriptor,
} from 'acr-promoter/oci';
import { copyArtifact, parsePlatform, selectPlatform } from 'acr-promoter/oras';
import { putBlob, putImage, putIndex, putRealGraph, putReferrer, text } from '../../support/graphs.js';
import { MemoryRepository } from '../../support/memory-repository.js';

async function setUp() {
  const source = new MemoryRepository('source/app');
  const destination = new MemoryRepository('destination/app');
  return { source, destination, ...(await putRealGraph(source)) };
}

describe('copyArtifact', () => {
  test('sets tags last, after the arrival check', async () => {
    const { source, destination, root, all } = await setUp();
    const receipt = await copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1', 'latest'] });
    expect(receipt.root.digest).toBe(root.digest);
    expect(receipt.report.copied.filter(({ kind }) => kind === 'manifest')).toHaveLength(all.length);
    expect([...destination.tags]).toEqual([
      ['v1', root.digest],
      ['latest', root.digest],
    ]);
    // Put, and read back.
    expect(destination.calls.slice(-2)).toEqual([
      { method: 'pushManifest', what: root.digest },
      { method: 'resolve', what: 'latest' },
    ]);
    expect(source.count('fetchManifest')).toBe(all.length);
  });

  test('copies to the digest if there is no tag', async () => {
    const { source, destination, root } = await setUp();
    await copyArtifact(source, root.digest, destination);
    expect(destination.tags.size).toBe(0);
    expect(destination.manifests.has(root.digest)).toBe(true);
  });

  test('writes nothing the second time, and fetches only the index and its children', async () => {
    const { source, destination } = await setUp();
    await copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'] });
    source.calls.length = 0;
    destination.calls.length = 0;
    const receipt = await copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'] });
    expect(receipt.report.copied).toEqual([]);
    expect(source.count('fetchManifest')).toBe(4);
    expect(destination.calls.filter(({ method }) => method.startsWith('push'))).toEqual([]);
  });

  test('copies a new referrer and one that was lost, even if the tag is right already', async () => {
    const { source, destination, root, all } = await setUp();
    await copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'] });
    const added = await putReferrer(source, root, 'later');
    destination.manifests.delete(all.at(-1)?.digest ?? '');
    await copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'] });
    expect((await destination.listReferrers(root.digest)).map(({ digest }) => digest)).toContain(added.digest);
    expect(destination.manifests.size).toBe(all.length + 1);
  });

  test('does not move the tag if the copy fails', async () => {
    const { source, destination } = await setUp();
    const old = await putImage(destination, ['old'], 'v1');
    destination.failNth('pushManifest', 3, new TransportError('CONNECTION_CLOSED', 'closed'));
    await expect(copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'] })).rejects.toMatchObject({
      code: 'CONNECTION_CLOSED',
      details: { side: 'destination' },
    });
    expect(destination.tags.get('v1')).toBe(old.digest);
  });

  test('sets no tag if the destination does not list a referrer', async () => {
    const { source, destination, all } = await setUp();
    destination.unlisted.add(all.at(-1)?.digest ?? '');
    const stop = AbortSignal.timeout(300);
    await expect(
      copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'], signal: stop }),
    ).rejects.toThrow();
    expect(destination.tags.size).toBe(0);
  });

  test('fails if the destination accepts a tag and loses it', async () => {
    const { source, destination, root } = await setUp();
    const other = await putImage(destination, ['other'], 'v1');
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = (bytes, mediaType, options) => {
      const { tag, ...rest } = options ?? {};
      return push(bytes, mediaType, tag === 'v1' ? rest : options);
    };
    const options = { tags: ['v1'], pausesMs: [0, 1] };
    await expect(copyArtifact(source, 'v1', destination, options)).rejects.toMatchObject({
      code: 'TAG_LOST',
      details: { tag: 'v1', expected: root.digest, actual: other.digest },
    });
    expect(destination.calls.filter(({ method, what }) => method === 'resolve' && what === 'v1')).toHaveLength(4);
  });

  test('fails if a tag gives a sha256 digest for a sha512 root', async () => {
    const source = new MemoryRepository('source/app');
    const config = await putBlob(source, OCI_IMAGE_CONFIG, text('{}'));
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [] });
    const root = await source.pushManifest(bytes, OCI_IMAGE_MANIFEST, { digest: digestOf(bytes, 'sha512') });
    const destination = new MemoryRepository('destination/app');
    await copyArtifact(source, root.digest, destination);
    expect([...destination.manifests.keys()]).toEqual([root.digest]);
    const good = new MemoryRepository('good/app');
    await copyArtifact(source, root.digest, good, { tags: ['v1'] });
    expect(good.tags.get('v1')).toBe(root.digest);
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = (content, mediaType, options) =>
      // As registries do: what is put under a tag is sha256.
      push(content, mediaType, { ...options, ...(options?.tag !== undefined && { digest: digestOf(content) }) });
    await expect(copyArtifact(source, root.digest, destination, { tags: ['v1'] })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      details: { expected: root.digest, actual: digestOf(bytes) },
    });
  });

  test('copies a lost blob again if it is told to check blobs', async () => {
    const { source, destination } = await setUp();
    const options = { recursive: true, tags: ['v1'] };
    await copyArtifact(source, 'v1', destination, options);
    const lost = digestOf(text('base'));
    destination.blobs.delete(lost);
    await copyArtifact(source, 'v1', destination, options);
    expect(destination.blobs.has(lost)).toBe(false);
    await copyArtifact(source, 'v1', destination, { ...options, checkBlobs: true });
    expect(destination.blobs.has(lost)).toBe(true);
  });

  test('checks the referrers of an index’s child even if the tag is right', async () => {
    const { source, destination } = await setUp();
    const subject = await putImage(source, ['subject']);
    const child = await putReferrer(source, subject, 'child');
    await putIndex(source, [child], 'v2');
    const options = { recursive: true, tags: ['v2'] };
    await copyArtifact(source, 'v2', destination, options);
    destination.manifests.delete(subject.digest);
    await copyArtifact(source, 'v2', destination, options);
    expect(destination.manifests.has(subject.digest)).toBe(true);
    const compared = async () => compareGraphs(source, destination, await source.resolve('v2'), { recursive: true });
    expect((await compared()).unlisted).toEqual([]);
    destination.unlisted.add(child.digest);
    expect((await compared()).unlisted).toEqual([{ subject: subject.digest, referrer: child.digest }]);
  });

  test('repeats no request to the source for missing content', async () => {
    const { source, destination, root } = await setUp();
    await putImage(source, ['signature'], `${root.digest.replace(':', '-')}.sig`);
    const options = { recursive: true, tags: ['v1'] };
    await copyArtifact(source, 'v1', destination, options);
    const added = await putReferrer(source, root, 'later');
    source.calls.length = 0;
    await copyArtifact(source, 'v1', destination, options);
    expect(destination.manifests.has(added.digest)).toBe(true);
    const asked = source.calls.map(({ method, what }) => `${method} ${what}`);
    expect(asked).toHaveLength(new Set(asked).size);
  });

  test('sets no tag if the destination accepts a child and loses it', async () => {
    const { source, destination, all } = await setUp();
    const child = all[0]?.digest ?? '';
    destination.sparse = true;
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = async (...args) => {
      const pushed = await push(...args);
      destination.manifests.delete(child);
      return pushed;
    };
    const options = { recursive: true, tags: ['v1'], pausesMs: [0, 1] };
    await expect(copyArtifact(source, 'v1', destination, options)).rejects.toMatchObject({
      code: 'MANIFEST_LOST',
      details: { lost: [child] },
    });
    expect(destination.tags.size).toBe(0);
  });

  test('names the side on which a tag is missing', async () => {
    const { source, destination } = await setUp();
    await expect(copyArtifact(source, 'v9', destination)).rejects.toMatchObject({
      code: 'MANIFEST_UNKNOWN',
      details: { side: 'source' },
    });
  });

  test('reports what was left out, both times', async () => {
    const source = new MemoryRepository('source/app');
    const image = await putImage(source, ['a'], 'v1');
    const destination = new MemoryRepository('destination/app');
    const streaming = await putReferrer(source, image, 'x', ARTIFACT_STREAMING);
    const leftOut = [{ digest: streaming.digest, artifactType: ARTIFACT_STREAMING, reason: 'excluded' }];
    for (let time = 0; time < 2; time += 1) {
      const receipt = await copyArtifact(source, 'v1', destination, { recursive: true, tags: ['v1'] });
      expect(receipt.leftOut).toEqual(leftOut);
    }
  });

  test('refuses a digest of the destination that the source does not have', async () => {
    const { source, destination, root, all } = await setUp();
    await copyArtifact(source, 'v1', destination, { digest: root.digest });
    const other = all[0]?.digest ?? root.digest;
    await expect(copyArtifact(source, 'v1', destination, { digest: other })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });
});

describe('a copy of one platform', () => {
  async function twoPlatforms() {
    const repository = new MemoryRepository('r/app');
    const amd = await putImage(repository, ['amd64']);
    const arm = await putImage(repository, ['arm64']);
    const manifests: Descriptor[] = [
      { ...amd, platform: { os: 'linux', architecture: 'amd64' } },
      { ...arm, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    ];
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests });
    return { repository, arm, index: await repository.pushManifest(bytes, OCI_IMAGE_INDEX, { tag: 'v1' }) };
  }

  test.each([
    ['linux/arm64/v8', { os: 'linux', architecture: 'arm64', variant: 'v8' }],
    ['linux', { os: 'linux', architecture: 'amd64' }],
    ['windows/amd64:10.0.17763', { os: 'windows', architecture: 'amd64', osVersion: '10.0.17763' }],
  ])('%s is read', (written, platform) => {
    expect(parsePlatform(written, 'x64')).toEqual(platform);
  });

  test.each(['', 'linux/', '/amd64', 'linux/arm64/v8/x', 'linux amd64'])('%j is refused', (written) => {
    expect(() => parsePlatform(written, 'x64')).toThrow(expect.objectContaining({ code: 'PLATFORM_INVALID' }));
  });

  test('selects a child of an index', async () => {
    const { repository, arm, index } = await twoPlatforms();
    expect(await selectPlatform(repository, index, parsePlatform('linux/arm64', 'x64'))).toEqual({
      ...arm,
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    });
  });

  test.each(['linux/arm64/v7', 'linux/s390x', 'windows/amd64'])(
    '%s is not in it, and what is, is named',
    async (asked) => {
      const { repository, index } = await twoPlatforms();
      await expect(selectPlatform(repository, index, parsePlatform(asked, 'x64'))).rejects.toMatchObject({
        code: 'PLATFORM_NOT_FOUND',
        details: { platforms: ['linux/amd64', 'linux/arm64/v8'] },
        remedy: 'Choose one of its platforms: linux/amd64, linux/arm64/v8.',
      });
    },
  );

  test('accepts an image whose config names the platform', async () => {
    const repository = new MemoryRepository('r/app');
    const json = text(JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: {} }));
    const config = await putBlob(repository, 'application/vnd.oci.image.config.v1+json', json);
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [] });
    const image = await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST);
    expect(await selectPlatform(repository, image, parsePlatform('linux/amd64', 'x64'))).toBe(image);
    await expect(selectPlatform(repository, image, parsePlatform('linux/arm64', 'x64'))).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      remedy: expect.stringContaining('Leave --platform out'),
    });
    const artifact = await putImage(repository, ['its config is no JSON']);
    await expect(selectPlatform(repository, artifact, parsePlatform('linux/amd64', 'x64'))).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
    });
  });

  test('includes the referrers of that child, and no other child', async () => {
    const { repository, arm } = await twoPlatforms();
    await putReferrer(repository, arm, 'sbom');
    const destination = new MemoryRepository('destination/app');
    const platform = parsePlatform('linux/arm64', 'x64');
    const receipt = await copyArtifact(repository, 'v1', destination, { recursive: true, platform, tags: ['v1'] });
    expect(receipt.root.digest).toBe(arm.digest);
    expect(destination.tags.get('v1')).toBe(arm.digest);
    expect(destination.manifests.size).toBe(2);
  });
});
