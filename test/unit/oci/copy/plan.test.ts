import { describe, expect, test } from '@jest/globals';
import {
  ARTIFACT_STREAMING,
  digestOf,
  DOCKER_MANIFEST_V1_SIGNED,
  encodeManifest,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  packArtifact,
  planGraph,
  pushPacked,
  RegistryError,
  type CopyPlan,
  type Descriptor,
  type FetchedManifest,
} from 'acr-promoter/oci';
import { MemoryRepository } from '../../../support/memory-repository.js';
import { putBlob, putImage, putIndex, putRealGraph, putReferrer, text } from '../../../support/graphs.js';
import { GRAPH_DEPTH, GRAPH_NODES } from '../../../../src/oci/copy/walk-context.js';

const digestsOf = (plan: CopyPlan): string[] => plan.manifests.map((manifest) => manifest.descriptor.digest);
const sorted = (descriptors: { digest: string }[]): string[] => descriptors.map(({ digest }) => digest).sort();

describe('planGraph', () => {
  test('includes children, their referrers and the referrers of referrers, and fetches each once', async () => {
    const source = new MemoryRepository();
    const { root, all } = await putRealGraph(source);
    source.calls.length = 0;
    const plan = await planGraph(source, root, { recursive: true });
    expect(digestsOf(plan).sort()).toEqual(sorted(all));
    expect(source.count('fetchManifest')).toBe(all.length);
    expect(source.count('listReferrers')).toBe(all.length);
    expect(source.count('listTags')).toBe(1);
    expect(source.count('openBlob')).toBe(0);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  test('sorts from the leaves up, with subjects before their referrers', async () => {
    const source = new MemoryRepository();
    const { root } = await putRealGraph(source);
    const plan = await planGraph(source, root, { recursive: true });
    const place = new Map(digestsOf(plan).map((digest, index) => [digest, index]));
    for (const manifest of plan.manifests) {
      for (const needed of [...(manifest.children ?? []), ...(manifest.subject ? [manifest.subject] : [])]) {
        expect(place.get(needed)).toBeLessThan(place.get(manifest.descriptor.digest) ?? -1);
      }
    }
    expect(digestsOf(plan)).toEqual(digestsOf(await planGraph(source, root, { recursive: true })));
  });

  test('lists no referrers unless it is recursive', async () => {
    const source = new MemoryRepository();
    const { root } = await putRealGraph(source);
    const plan = await planGraph(source, root);
    expect(plan.manifests).toHaveLength(4);
    expect(source.count('listReferrers')).toBe(0);
    expect(source.count('listTags')).toBe(0);
  });

  test('a plan counts each blob once', async () => {
    const source = new MemoryRepository();
    const { root } = await putRealGraph(source);
    const plan = await planGraph(source, root, { recursive: true });
    expect(plan.blobCount).toBe(source.blobs.size);
    const manifests = [...source.manifests.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    const blobs = [...source.blobs.values()].reduce((sum, bytes) => sum + bytes.length, 0);
    expect(plan.sizeBytes).toBe(manifests + blobs);
  });

  test('a referrer as root includes its subject, but not the other referrers of that subject', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const sbom = await putReferrer(source, image, 'sbom');
    await putReferrer(source, image, 'other');
    const signature = await putReferrer(source, sbom, 'signature');
    const plan = await planGraph(source, sbom, { recursive: true });
    expect(digestsOf(plan)).toEqual([image.digest, sbom.digest, signature.digest]);
  });

  test('a missing subject is left out', async () => {
    const source = new MemoryRepository();
    const nowhere: Descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(text('nowhere')), size: 7 };
    const sbom = await putReferrer(source, nowhere, 'sbom');
    const plan = await planGraph(source, sbom, { recursive: true });
    expect(plan.manifests.map((manifest) => [manifest.descriptor.digest, manifest.subject])).toEqual([
      [sbom.digest, nowhere.digest],
    ]);
  });

  test('a missing child of an index is an error with its own code', async () => {
    const source = new MemoryRepository();
    source.sparse = true;
    const nowhere: Descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(text('nowhere')), size: 7 };
    const root = await putIndex(source, [nowhere]);
    await expect(planGraph(source, root)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });

  test('leaves out referrers of excluded artifact types and their referrers; the default is artifact streaming', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const streaming = await putReferrer(source, image, 'streaming', ARTIFACT_STREAMING);
    await putReferrer(source, streaming, 'signature of it');
    const sbom = await putReferrer(source, image, 'sbom');
    const plan = await planGraph(source, image, { recursive: true });
    expect(digestsOf(plan)).toEqual([image.digest, sbom.digest]);
    expect(plan.leftOut).toEqual([{ digest: streaming.digest, artifactType: ARTIFACT_STREAMING, reason: 'excluded' }]);
    const all = await planGraph(source, image, { recursive: true, excludeArtifactTypes: [] });
    expect(all.manifests).toHaveLength(4);
  });

  test('uses the artifact type of the manifest if the list has none', async () => {
    class Untyped extends MemoryRepository {
      override async listReferrers(digest: Descriptor['digest']): Promise<Descriptor[]> {
        const listed = await super.listReferrers(digest);
        return listed.map(({ mediaType, digest: own, size }) => ({ mediaType, digest: own, size }));
      }
    }
    const source = new Untyped();
    const image = await putImage(source, ['a']);
    const streaming = await putReferrer(source, image, 'streaming', ARTIFACT_STREAMING);
    const plan = await planGraph(source, image, { recursive: true });
    expect(digestsOf(plan)).toEqual([image.digest]);
    expect(plan.leftOut).toMatchObject([{ digest: streaming.digest, reason: 'excluded' }]);
  });

  test('a listed manifest that does not exist or refers to something else is left out', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const other = await putImage(source, ['b']);
    const gone: Descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(text('gone')), size: 4 };
    source.listReferrers = (digest) => Promise.resolve(digest === image.digest ? [other, gone] : []);
    const plan = await planGraph(source, image, { recursive: true });
    expect(digestsOf(plan)).toEqual([image.digest]);
    expect(new Map(plan.leftOut.map(({ digest, reason }) => [digest, reason]))).toEqual(
      new Map([
        [gone.digest, 'gone'],
        [other.digest, 'not-its-subject'],
      ]),
    );
  });

  test('a wrongly listed manifest is still copied as the child of an index', async () => {
    const source = new MemoryRepository();
    const child = await putImage(source, ['a']);
    const sibling = await putImage(source, ['b']);
    const inner = await putIndex(source, [sibling]);
    const root = await putIndex(source, [child, inner]);
    source.listReferrers = (digest) => Promise.resolve(digest === root.digest ? [sibling] : []);
    const plan = await planGraph(source, root, { recursive: true });
    expect(digestsOf(plan).sort()).toEqual(sorted([child, sibling, inner, root]));
  });

  test('a stale entry in one list does not hide a referrer in the right list', async () => {
    const source = new MemoryRepository();
    const [first, second] = [await putImage(source, ['a']), await putImage(source, ['b'])];
    const root = await putIndex(source, [first, second]);
    const referrer = await putReferrer(source, second, 'x');
    const signature = await putReferrer(source, referrer, 'signature of x');
    const list = source.listReferrers.bind(source);
    for (const wrong of [first.digest, root.digest, referrer.digest, signature.digest]) {
      source.listReferrers = async (digest, options) => [
        ...(digest === wrong ? [referrer] : []),
        ...(await list(digest, options)),
      ];
      const plan = await planGraph(source, root, { recursive: true });
      expect(digestsOf(plan).sort()).toEqual(sorted([first, second, root, referrer, signature]));
      expect(plan.leftOut).toEqual([]);
    }
    // No list names it correctly, so it stays out.
    source.listReferrers = (digest) => Promise.resolve(digest === first.digest ? [referrer] : []);
    const plan = await planGraph(source, root, { recursive: true });
    expect(plan.leftOut).toMatchObject([{ digest: referrer.digest, reason: 'not-its-subject' }]);
  });

  test('a stale entry in one list does not hide the target of a digest tag', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const elsewhere = await putImage(source, ['elsewhere']);
    const tag = `${image.digest.replace(':', '-')}.sig`;
    const artifact = packArtifact({ artifactType: 'a/b', layers: [], subject: elsewhere });
    const signature = await pushPacked(source, artifact);
    await source.pushManifest(source.manifests.get(signature.digest)?.bytes ?? text(''), OCI_IMAGE_MANIFEST, { tag });
    source.listReferrers = (digest) => Promise.resolve(digest === image.digest ? [signature] : []);
    const plan = await planGraph(source, image, { recursive: true });
    expect(plan.manifests.flatMap((manifest) => manifest.tags ?? [])).toEqual([tag]);
  });

  test('an unreadable referrer of an unknown type is left out; one of a known type is an error', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const sbom = await putReferrer(source, image, 'sbom');
    const bytes = text('{"schemaVersion":2,"foo":1}');
    const fetch = source.fetchManifest.bind(source);
    const list = source.listReferrers.bind(source);
    const planWith = (mediaType: string) => {
      const weird: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
      source.fetchManifest = (target, options) =>
        typeof target !== 'string' && target.digest === weird.digest
          ? Promise.resolve({ descriptor: weird, bytes })
          : fetch(target, options);
      source.listReferrers = async (digest, options) => [
        ...(digest === image.digest ? [{ ...weird, artifactType: 'w/w' }] : []),
        ...(await list(digest, options)),
      ];
      return planGraph(source, image, { recursive: true });
    };
    const plan = await planWith('application/vnd.weird+json');
    expect(digestsOf(plan)).toEqual([image.digest, sbom.digest]);
    expect(plan.leftOut).toEqual([{ digest: digestOf(bytes), artifactType: 'w/w', reason: 'unreadable' }]);
    await expect(planWith(OCI_IMAGE_MANIFEST)).rejects.toMatchObject({ code: 'DESCRIPTOR_INVALID' });
  });

  test('schema 1 in an index is refused with its own code', async () => {
    const source = new MemoryRepository();
    source.sparse = true;
    const old = { mediaType: DOCKER_MANIFEST_V1_SIGNED, digest: digestOf(text('old')), size: 3 };
    const root = await putIndex(source, [await putImage(source, ['a']), old]);
    await expect(planGraph(source, root)).rejects.toMatchObject({ code: 'SCHEMA1_UNSUPPORTED' });
  });

  test('digest tags are copied with their digest and their own referrers', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a'], 'v1');
    const hex = image.digest.slice('sha256:'.length);
    const signature = await putImage(source, ['signature'], `sha256-${hex}.sig`);
    const attestation = await putImage(source, ['attestation'], `sha256-${hex}.att`);
    const note = await putReferrer(source, signature, 'note');
    await putImage(source, ['someone else’s'], `sha256-${'0'.repeat(64)}.sig`);
    // The referrers index is handled by the registry client, and GitLab resolves such a tag to the subject.
    await source.pushManifest(source.manifests.get(image.digest)?.bytes ?? text(''), OCI_IMAGE_MANIFEST, {
      tag: `sha256-${hex}`,
    });
    await source.pushManifest(source.manifests.get(image.digest)?.bytes ?? text(''), OCI_IMAGE_MANIFEST, {
      tag: `sha256-${hex}.sbom`,
    });
    const plan = await planGraph(source, image, { recursive: true });
    expect(digestsOf(plan).sort()).toEqual(sorted([image, signature, attestation, note]));
    const tags = plan.manifests.flatMap((manifest) => manifest.tags ?? []);
    expect(tags.sort()).toEqual([`sha256-${hex}.att`, `sha256-${hex}.sig`]);
  });

  test('digest tags are requested one by one if tags cannot be listed', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a'], 'v1');
    const signature = await putImage(source, ['signature'], `${image.digest.replace(':', '-')}.sig`);
    source.fault = ({ method }) => {
      if (method !== 'listTags') return;
      throw new RegistryError('no', { method: 'GET', url: 'memory://', status: 401, registryCodes: ['UNAUTHORIZED'] });
    };
    const plan = await planGraph(source, image, { recursive: true });
    expect(digestsOf(plan)).toEqual([image.digest, signature.digest]);
  });

  test('the referrers tag is read only if the tag may exist', async () => {
    const asked = new Map<string, boolean>();
    class Watched extends MemoryRepository {
      override listReferrers(...[digest, options]: Parameters<MemoryRepository['listReferrers']>) {
        asked.set(digest, options?.tagSchema !== false);
        return super.listReferrers(digest, options);
      }
    }
    const source = new Watched();
    const image = await putImage(source, ['a']);
    const sbom = await putReferrer(source, image, 'sbom');
    const other = await putReferrer(source, image, 'other');
    await putImage(source, ['an index'], sbom.digest.replace(':', '-'));
    await planGraph(source, image, { recursive: true });
    expect([...asked].filter(([, may]) => may).map(([digest]) => digest)).toEqual([sbom.digest]);
    expect(asked.get(other.digest)).toBe(false);
    asked.clear();
    source.failNth(
      'listTags',
      1,
      new RegistryError('no', { method: 'GET', url: 'm://', status: 403, registryCodes: [] }),
    );
    await planGraph(source, image, { recursive: true });
    expect([...asked.values()]).toEqual([true, true, true]);
  });

  test('foreign layers are not copied', async () => {
    const source = new MemoryRepository();
    const config = await putBlob(source, 'application/vnd.oci.image.config.v1+json', text('{}'));
    const foreign = {
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      digest: digestOf(text('windows')),
      size: 7,
      urls: ['https://example.com/layer'],
    };
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [foreign] });
    const root = await source.pushManifest(bytes, OCI_IMAGE_MANIFEST);
    const plan = await planGraph(source, root);
    expect(plan.manifests[0]).toMatchObject({ blobs: [config] });
    expect(plan.blobCount).toBe(1);
  });

  test('an entry of an index that is not a manifest is copied as a blob', async () => {
    const source = new MemoryRepository();
    const blob = await putBlob(source, 'text/plain', text('hello'));
    const root = await putIndex(source, [blob]);
    const plan = await planGraph(source, root);
    expect(plan.manifests).toMatchObject([{ blobs: [blob] }]);
  });
});

const at = (name: string): Descriptor => ({ mediaType: OCI_IMAGE_INDEX, digest: digestOf(text(name)), size: 1 });

describe('refused graphs', () => {
  test('referrers beyond the maximum depth are an error', async () => {
    const source = new MemoryRepository();
    let subject = await putImage(source, ['a']);
    const root = subject;
    for (let level = 0; level <= GRAPH_DEPTH; level += 1) subject = await putReferrer(source, subject, `${level}`);
    await expect(planGraph(source, root, { recursive: true })).rejects.toMatchObject({ code: 'GRAPH_TOO_DEEP' });
  });

  test('referrers at the maximum depth are accepted', async () => {
    const source = new MemoryRepository();
    let subject = await putImage(source, ['a']);
    const root = subject;
    for (let level = 0; level < GRAPH_DEPTH; level += 1) subject = await putReferrer(source, subject, `${level}`);
    expect((await planGraph(source, root, { recursive: true })).manifests).toHaveLength(GRAPH_DEPTH + 1);
  });

  test('a graph with too many nodes is refused before it is fetched completely', async () => {
    const source = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const listed = Array.from({ length: GRAPH_NODES + 1 }, (_, index): Descriptor => ({
      mediaType: OCI_IMAGE_MANIFEST,
      digest: `sha256:${index.toString(16).padStart(64, '0')}`,
      size: 1,
    }));
    source.listReferrers = () => Promise.resolve(listed);
    await expect(planGraph(source, image, { recursive: true })).rejects.toMatchObject({ code: 'GRAPH_TOO_WIDE' });
    expect(source.count('fetchManifest')).toBeLessThan(100);
  });

  test('a cycle in a store that does not verify digests is an error', async () => {
    const pointsTo = new Map([
      [at('a').digest, at('b')],
      [at('b').digest, at('c')],
      [at('c').digest, at('a')],
    ]);
    class Lying extends MemoryRepository {
      override fetchManifest(target: string | Descriptor): Promise<FetchedManifest> {
        const digest = typeof target === 'string' ? target : target.digest;
        const manifests = [...pointsTo].filter(([from]) => from === digest).map(([, to]) => to);
        const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests });
        return Promise.resolve({ descriptor: { ...at('a'), digest: digest as Descriptor['digest'] }, bytes });
      }
    }
    await expect(planGraph(new Lying(), at('a'))).rejects.toMatchObject({ code: 'GRAPH_CYCLE' });
  });

  test('content that is not a manifest is an error', async () => {
    const source = new MemoryRepository();
    const root = await putImage(source, ['a']);
    source.fetchManifest = () => Promise.resolve({ descriptor: root, bytes: text('[]') });
    await expect(planGraph(source, root)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });
});

test('an abort stops planning', async () => {
  const source = new MemoryRepository();
  const { root } = await putRealGraph(source);
  const stop = new AbortController();
  source.fault = ({ method }) => {
    if (method === 'listReferrers') stop.abort(new Error('stopped'));
  };
  await expect(planGraph(source, root, { recursive: true, signal: stop.signal })).rejects.toThrow('stopped');
  expect(source.count('fetchManifest')).toBeLessThan(8);
});
