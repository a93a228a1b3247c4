import { describe, expect, test } from '@jest/globals';
import { digestOf, packArtifact, parseManifest, pushPacked, RegistryError, type Descriptor } from 'acr-promoter/oci';
import { MemoryRepository } from '../../support/memory-repository.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const SUBJECT: Descriptor = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf(text('subject')),
  size: 7,
  annotations: { left: 'out' },
};

describe('packArtifact', () => {
  test('writes the same bytes as the Go clients', () => {
    const packed = packArtifact({
      artifactType: 'application/spdx+json',
      layers: [{ mediaType: 'application/spdx+json', bytes: text('{}\n'), annotations: { b: '2', a: '1' } }],
      subject: SUBJECT,
      annotations: { 'org.opencontainers.image.created': '1970-01-01T00:00:00Z', 'a.first': 'x' },
    });
    expect(new TextDecoder().decode(packed.bytes)).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/spdx+json",' +
        '"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},' +
        `"layers":[{"mediaType":"application/spdx+json","digest":"${digestOf(text('{}\n'))}","size":3,"annotations":{"a":"1","b":"2"}}],` +
        `"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${SUBJECT.digest}","size":7},` +
        '"annotations":{"a.first":"x","org.opencontainers.image.created":"1970-01-01T00:00:00Z"}}',
    );
    expect(packed.descriptor.digest).toBe(digestOf(packed.bytes));
    expect(packed.descriptor.size).toBe(packed.bytes.length);
  });

  test('adds the empty layer if there are no layers', () => {
    const packed = packArtifact({ artifactType: 'a/b', layers: [] });
    const manifest = parseManifest(packed.bytes, packed.descriptor.mediaType, 'test');
    expect(manifest.kind === 'image' && manifest.layers.map((layer) => layer.mediaType)).toEqual([
      'application/vnd.oci.empty.v1+json',
    ]);
    expect(packed.blobs).toHaveLength(1);
  });

  test('the order of annotations does not change the bytes', () => {
    const one = packArtifact({ artifactType: 'a/b', layers: [], annotations: { x: '1', y: '2' } });
    const other = packArtifact({ artifactType: 'a/b', layers: [], annotations: { y: '2', x: '1' } });
    expect(one.descriptor.digest).toBe(other.descriptor.digest);
  });
});

test('pushPacked pushes blobs first, then the manifest, and the tag if given', async () => {
  const repository = new MemoryRepository();
  const packed = packArtifact({ artifactType: 'a/b', layers: [{ mediaType: 'text/plain', bytes: text('hello') }] });
  const pushed = await pushPacked(repository, packed, { tag: 'v1' });
  expect(pushed.digest).toBe(packed.descriptor.digest);
  expect(repository.calls.map((call) => call.method)).toEqual(['pushBlob', 'pushBlob', 'pushManifest']);
  expect((await repository.resolve('v1')).digest).toBe(packed.descriptor.digest);
  await pushPacked(repository, packed);
  expect(repository.manifests.size).toBe(1);
});

describe('a push to a registry that does not know a blob it has just accepted', () => {
  const unknown = new RegistryError('no', {
    method: 'PUT',
    url: 'memory://',
    status: 400,
    registryCodes: ['DIGEST_INVALID', 'MANIFEST_BLOB_UNKNOWN'],
  });
  const packed = packArtifact({ artifactType: 'a/b', layers: [] });

  test('is repeated', async () => {
    const repository = new MemoryRepository();
    repository.failNth('pushManifest', 1, unknown);
    await pushPacked(repository, packed);
    expect(repository.manifests.has(packed.descriptor.digest)).toBe(true);
    expect(repository.count('pushBlob')).toBe(2);
  });

  test('is repeated a limited number of times; other errors are final', async () => {
    const repository = new MemoryRepository();
    repository.fault = ({ method }) => {
      if (method === 'pushManifest') throw unknown;
    };
    await expect(pushPacked(repository, packed)).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
    expect(repository.count('pushManifest')).toBe(3);
    const denied = new RegistryError('no', { method: 'PUT', url: 'm://', status: 403, registryCodes: ['DENIED'] });
    repository.failNth('pushManifest', 1, denied);
    await expect(pushPacked(repository, packed)).rejects.toMatchObject({ code: 'DENIED' });
    expect(repository.count('pushManifest')).toBe(4);
  });
});
