import { describe, expect, test } from '@jest/globals';
import { array, assert, asyncProperty, boolean, constantFrom, integer, nat, record } from 'fast-check';
import {
  copyGraph,
  digestOf,
  encodeManifest,
  OCI_IMAGE_MANIFEST,
  packArtifact,
  planGraph,
  pushPacked,
  RegistryError,
  TransportError,
  type CopyProgress,
  type Descriptor,
} from 'acr-promoter/oci';
import { MemoryRegistries, MemoryRepository } from '../../../support/memory-repository.js';
import { putBlob, putImage, putIndex, putRealGraph, putReferrer, text } from '../../../support/graphs.js';
import { propertyRuns } from '../../../support/property-runs.js';

async function setUp() {
  const source = new MemoryRepository('source/app');
  const destination = new MemoryRepository('destination/app');
  const { root, all } = await putRealGraph(source);
  const plan = await planGraph(source, root, { recursive: true });
  source.calls.length = 0;
  return { source, destination, root, all, plan };
}

const refused = (status: number, code: string): RegistryError =>
  new RegistryError(code, { method: 'POST', url: 'memory://', status, registryCodes: [code] });

describe('copyGraph', () => {
  test('copies everything byte for byte, fetching each blob once and no manifest again', async () => {
    const { source, destination, plan } = await setUp();
    const report = await copyGraph(plan, source, destination);
    expect(new Map([...destination.manifests].map(([digest, { bytes }]) => [digest, Buffer.from(bytes)]))).toEqual(
      new Map([...source.manifests].map(([digest, { bytes }]) => [digest, Buffer.from(bytes)])),
    );
    expect([...destination.blobs.keys()].sort()).toEqual([...source.blobs.keys()].sort());
    expect(source.count('fetchManifest')).toBe(0);
    // The descriptor of the empty config contains its bytes.
    expect(source.count('openBlob')).toBe(plan.blobCount - 1);
    expect(report.copied).toHaveLength(plan.manifests.length + plan.blobCount);
    expect(report.movedBytes).toBe(plan.sizeBytes);
    expect(destination.tags.size).toBe(0);
  });

  test('a plan that was stored without bytes fetches the manifests again', async () => {
    const { source, destination, plan } = await setUp();
    const carried = JSON.parse(JSON.stringify(plan)) as typeof plan;
    for (const manifest of carried.manifests) delete manifest.bytes;
    await copyGraph(carried, source, destination);
    expect(destination.manifests.size).toBe(plan.manifests.length);
    expect(source.count('fetchManifest')).toBe(plan.manifests.length);
  });

  test('bytes in a plan that do not match their descriptor are not used', async () => {
    const { source, destination, plan } = await setUp();
    for (const manifest of plan.manifests) manifest.bytes = Buffer.from('{}').toString('base64');
    await copyGraph(plan, source, destination);
    expect(destination.manifests.size).toBe(plan.manifests.length);
  });

  test('existing content is not copied again; a second copy moves nothing', async () => {
    const { source, destination, plan } = await setUp();
    await copyGraph(plan, source, destination);
    destination.calls.length = 0;
    const report = await copyGraph(plan, source, destination);
    expect(report.copied).toEqual([]);
    expect(report.existed).toHaveLength(plan.manifests.length);
    expect(new Set(destination.calls.map((call) => call.method))).toEqual(new Set(['resolve']));
    expect(destination.calls).toHaveLength(plan.manifests.length);
  });

  test('missing children, referrers and blobs are copied although the index exists', async () => {
    const { source, destination, plan, all } = await setUp();
    await copyGraph(plan, source, destination);
    const [amd, , , , sbomOfRoot, , signature] = all;
    for (const gone of [amd, sbomOfRoot, signature]) {
      if (!gone) continue;
      for (const blob of plan.manifests.find(({ descriptor }) => descriptor.digest === gone.digest)?.blobs ?? []) {
        destination.blobs.delete(blob.digest);
      }
      destination.manifests.delete(gone.digest);
    }
    await copyGraph(plan, source, destination);
    expect(destination.manifests.size).toBe(plan.manifests.length);
    expect([...destination.blobs.keys()].sort()).toEqual([...source.blobs.keys()].sort());
  });

  test('blobs of existing manifests are checked with checkBlobs', async () => {
    const { source, destination, plan } = await setUp();
    await copyGraph(plan, source, destination);
    destination.blobs.clear();
    await copyGraph(plan, source, destination);
    expect(destination.blobs.size).toBe(0);
    await copyGraph(plan, source, destination, { checkBlobs: true });
    expect(destination.blobs.size).toBe(plan.blobCount);
  });

  test('the same call resumes an interrupted copy', async () => {
    const { source, destination, plan } = await setUp();
    destination.failNth('pushBlob', 6, new TransportError('CONNECTION_CLOSED', 'closed'));
    await expect(copyGraph(plan, source, destination)).rejects.toMatchObject({
      code: 'CONNECTION_CLOSED',
      transient: true,
      details: { side: 'destination', operation: 'push blob' },
    });
    destination.fault = undefined;
    const there = destination.blobs.size;
    const report = await copyGraph(plan, source, destination);
    expect(report.existed.filter(({ kind }) => kind === 'blob')).toHaveLength(there);
    expect(report.copied.filter(({ kind }) => kind === 'blob')).toHaveLength(plan.blobCount - there);
  });

  test('an error of the source names the source', async () => {
    const { source, destination, plan } = await setUp();
    source.failNth('openBlob', 1, refused(404, 'BLOB_UNKNOWN'));
    await expect(copyGraph(plan, source, destination)).rejects.toMatchObject({
      code: 'BLOB_UNKNOWN',
      details: { side: 'source' },
    });
    source.fault = undefined;
    source.openBlob = () =>
      Promise.resolve(
        (async function* () {
          yield text('x');
          throw new TransportError('STALLED', 'stalled');
        })(),
      );
    await expect(copyGraph(plan, source, destination)).rejects.toMatchObject({
      code: 'STALLED',
      details: { side: 'source' },
    });
  });

  test('no request follows a failure', async () => {
    const { source, destination, plan } = await setUp();
    destination.failNth('pushBlob', 1, refused(403, 'DENIED'));
    await expect(copyGraph(plan, source, destination)).rejects.toMatchObject({ code: 'DENIED' });
    const calls = destination.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(destination.calls).toHaveLength(calls);
    expect(destination.manifests.size).toBe(0);
  });

  test('a destination that stores manifests under another digest is an error', async () => {
    const { source, destination, plan } = await setUp();
    const other: Descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(text('other')), size: 1 };
    destination.pushManifest = () => Promise.resolve(other);
    await expect(copyGraph(plan, source, destination)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  test('foreign layers are not copied', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const config = await putBlob(source, 'application/vnd.oci.image.config.v1+json', text('{}'));
    const layer = { mediaType: 'x/foreign', digest: digestOf(text('far')), size: 3, urls: ['https://example.com/'] };
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] });
    const root = await source.pushManifest(bytes, OCI_IMAGE_MANIFEST);
    await copyGraph(await planGraph(source, root), source, destination);
    expect(destination.manifests.has(root.digest)).toBe(true);
    expect([...destination.blobs.keys()]).toEqual([config.digest]);
  });

  test('sha512 digests are kept', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const bytes = text('layer');
    const layer = { mediaType: 'text/plain', digest: digestOf(bytes, 'sha512'), size: bytes.length };
    await source.pushBlob(layer, async function* () {
      yield bytes;
    });
    const config = await putBlob(source, 'application/vnd.oci.image.config.v1+json', text('{}'));
    const image = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] });
    const child = await source.pushManifest(image, OCI_IMAGE_MANIFEST, { digest: digestOf(image, 'sha512') });
    const root = await putIndex(source, [child]);
    await copyGraph(await planGraph(source, root), source, destination);
    expect([...destination.manifests.keys()].sort()).toEqual([child.digest, root.digest].sort());
    expect(destination.blobs.has(layer.digest)).toBe(true);
  });

  test('digest tags are written last, and only if they point elsewhere', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const image = await putImage(source, ['a'], 'v1');
    const tag = `${image.digest.replace(':', '-')}.sig`;
    const signature = await putImage(source, ['signature'], tag);
    const plan = await planGraph(source, image, { recursive: true });
    expect((await copyGraph(plan, source, destination)).tagged).toEqual([tag]);
    expect([...destination.tags]).toEqual([[tag, signature.digest]]);
    expect((await copyGraph(plan, source, destination)).tagged).toEqual([]);
    destination.tags.set(tag, image.digest);
    expect((await copyGraph(plan, source, destination)).tagged).toEqual([tag]);
    expect(destination.tags.get(tag)).toBe(signature.digest);
  });

  test('progress counts every node once and ends at the totals', async () => {
    const { source, destination, plan } = await setUp();
    const seen: CopyProgress[] = [];
    await copyGraph(plan, source, destination, { onProgress: (progress) => void seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({
      nodesDone: plan.manifests.length + plan.blobCount,
      nodesTotal: plan.manifests.length + plan.blobCount,
      movedBytes: plan.sizeBytes,
      doneBytes: plan.sizeBytes,
      totalBytes: plan.sizeBytes,
    });
    for (const [index, progress] of seen.entries()) {
      expect(progress.nodesDone).toBeGreaterThanOrEqual(seen[index - 1]?.nodesDone ?? 0);
      expect(progress.doneBytes).toBeGreaterThanOrEqual(seen[index - 1]?.doneBytes ?? 0);
    }
    seen.length = 0;
    await copyGraph(plan, source, destination, { onProgress: (progress) => void seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({
      nodesDone: plan.manifests.length + plan.blobCount,
      movedBytes: 0,
      doneBytes: plan.sizeBytes,
    });
  });
});

describe('mounting', () => {
  async function inOneRegistry() {
    const registries = new MemoryRegistries();
    const source = registries.repository('registry', 'app');
    const destination = registries.repository('registry', 'staging/app');
    const { root } = await putRealGraph(source);
    return { source, destination, plan: await planGraph(source, root, { recursive: true }) };
  }

  test('uploads no blob within one registry', async () => {
    const { source, destination, plan } = await inOneRegistry();
    const report = await copyGraph(plan, source, destination, { mountFrom: 'app' });
    expect(report.mounted).toHaveLength(plan.blobCount);
    expect(source.count('openBlob')).toBe(0);
    expect(destination.count('pushBlob')).toBe(0);
  });

  test('tries each repository, then streams a blob that none of them has', async () => {
    const registries = new MemoryRegistries();
    const base = registries.repository('registry', 'base');
    const layer = await putBlob(base, 'application/vnd.oci.image.layer.v1.tar+gzip', text('base'));
    const source = new MemoryRepository('elsewhere/app');
    const image = await putImage(source, ['base', 'own']);
    const destination = registries.repository('registry', 'app');
    const plan = await planGraph(source, image);
    const report = await copyGraph(plan, source, destination, { mountFrom: ['nothing', 'base'] });
    expect(report.mounted.map(({ digest }) => digest)).toEqual([layer.digest]);
    expect(report.copied.filter(({ kind }) => kind === 'blob')).toHaveLength(2);
  });

  test.each([401, 403, 404, 405])('a mount refused with %d falls back to an upload', async (status) => {
    const { source, destination, plan } = await inOneRegistry();
    destination.fault = ({ method }) => {
      if (method === 'mountBlob') throw refused(status, 'DENIED');
    };
    const report = await copyGraph(plan, source, destination, { mountFrom: 'app' });
    expect(report.mounted).toEqual([]);
    expect(destination.blobs.size).toBe(plan.blobCount);
  });

  test('a registry that is down is not treated as a refused mount', async () => {
    const { source, destination, plan } = await inOneRegistry();
    destination.failNth('mountBlob', 1, refused(503, 'UNAVAILABLE'));
    await expect(copyGraph(plan, source, destination, { mountFrom: 'app' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});

describe('bounds', () => {
  test('concurrent requests and bytes stay within their limits', async () => {
    const source = new MemoryRepository('source/app');
    const layers = Array.from({ length: 12 }, (_, index) => `${index}`.repeat(1000));
    const image = await putImage(source, layers);
    const plan = await planGraph(source, image);
    let [under, most, bytes, mostBytes] = [0, 0, 0, 0];
    class Watched extends MemoryRepository {
      override async pushBlob(...[descriptor, open, options]: Parameters<MemoryRepository['pushBlob']>) {
        under += 1;
        bytes += descriptor.size;
        most = Math.max(most, under);
        mostBytes = Math.max(mostBytes, bytes);
        await super.pushBlob(descriptor, open, options);
        under -= 1;
        bytes -= descriptor.size;
      }
    }
    await copyGraph(plan, source, new Watched(), { requestConcurrency: 4, bytesInFlight: 2500 });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
    expect(mostBytes).toBeLessThanOrEqual(2500);
  });

  test('a blob larger than the byte limit is copied alone', async () => {
    const source = new MemoryRepository('source/app');
    const image = await putImage(source, ['x'.repeat(10_000)]);
    const destination = new MemoryRepository();
    await copyGraph(await planGraph(source, image), source, destination, { bytesInFlight: 10 });
    expect(destination.manifests.has(image.digest)).toBe(true);
  });
});

/** A random graph: each step adds an image, an index of existing manifests, or a referrer of an existing manifest. */
const steps = array(
  record({ kind: constantFrom('image', 'index', 'referrer'), picks: array(nat(1000), { maxLength: 4 }) }),
  { minLength: 1, maxLength: 12 },
);

test('any graph is copied completely, leaves first, and nothing is fetched or pushed twice', async () => {
  await assert(
    asyncProperty(steps, integer({ min: 1, max: 8 }), boolean(), async (built, concurrency, interrupt) => {
      const source = new MemoryRepository('source/app');
      const nodes: Descriptor[] = [await putImage(source, ['first'])];
      for (const [index, { kind, picks }] of built.entries()) {
        const chosen = [...new Set(picks.map((pick) => nodes[pick % nodes.length]))].filter(
          (node) => node !== undefined,
        );
        const [first] = chosen;
        if (kind === 'index' && first) nodes.push(await putIndex(source, chosen));
        else if (kind === 'referrer' && first) nodes.push(await putReferrer(source, first, `${index}`));
        else
          nodes.push(
            await putImage(
              source,
              picks.map((pick) => `layer ${pick % 5}`),
            ),
          );
      }
      // The root index lists everything, so that everything is reachable.
      const root = await putIndex(
        source,
        nodes.filter((_, index) => index % 2 === 0),
      );
      source.calls.length = 0;
      const plan = await planGraph(source, root, { recursive: true, concurrency });
      const fetched = source.calls.filter((call) => call.method === 'fetchManifest').map((call) => call.what);
      expect(new Set(fetched).size).toBe(fetched.length);
      // The destination refuses content that arrives before the content that it needs.
      const destination = new MemoryRepository('destination/app');
      if (interrupt) {
        destination.failNth('pushManifest', 2, new TransportError('CONNECTION_CLOSED', 'closed'));
        await copyGraph(plan, source, destination, { requestConcurrency: concurrency }).catch(() => undefined);
        destination.fault = undefined;
      }
      await copyGraph(plan, source, destination, { requestConcurrency: concurrency });
      for (const { descriptor } of plan.manifests) expect(destination.manifests.has(descriptor.digest)).toBe(true);
      for (const { descriptor } of plan.manifests) {
        const [sent, kept] = [
          await source.listReferrers(descriptor.digest),
          await destination.listReferrers(descriptor.digest),
        ];
        expect(kept.map(({ digest }) => digest).sort()).toEqual(sent.map(({ digest }) => digest).sort());
      }
      const opened = source.calls.filter((call) => call.method === 'openBlob').map((call) => call.what);
      if (!interrupt) expect(new Set(opened).size).toBe(opened.length);
      const order = destination.calls.filter((call) => call.method === 'pushManifest').map((call) => call.what);
      const place = (digest: string): number => order.lastIndexOf(digest);
      for (const { descriptor, children = [], subject } of plan.manifests) {
        for (const needed of [...children, ...(subject === undefined ? [] : [subject])]) {
          expect(place(needed)).toBeLessThan(place(descriptor.digest));
        }
      }
    }),
    { numRuns: propertyRuns(40) },
  );
});

test('the empty config of many referrers is pushed once', async () => {
  const source = new MemoryRepository('source/app');
  const image = await putImage(source, ['a']);
  for (let index = 0; index < 20; index += 1) {
    await pushPacked(source, packArtifact({ artifactType: `a/${index}`, layers: [], subject: image }));
  }
  const destination = new MemoryRepository();
  const plan = await planGraph(source, image, { recursive: true });
  await copyGraph(plan, source, destination);
  expect(destination.count('pushBlob')).toBe(3);
  expect((await destination.listReferrers(image.digest)).length).toBe(20);
});
