import { beforeEach, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import {
  compareGraphs,
  copyGraph,
  digestOf,
  encodeManifest,
  isNothingMissing,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  packArtifact,
  planGraph,
  pushPacked,
  RegistryError,
  verifyArrival,
  type CopyPlan,
  type Descriptor,
  type Manifest,
} from 'acr-promoter/oci';
import { tarOf } from '../../../support/sbom-image.js';
import { MemoryRepository } from '../../../support/memory-repository.js';
import { putBlob, putIndex, putIndexOf, putReferrer, putRunnable, text } from '../../../support/graphs.js';
import { GRAPH_DEPTH } from '../../../../src/oci/copy/walk-context.js';
import { MOST_HELD_MANIFESTS } from '../../../../src/oci/copy/referrers-to-copy.js';
import { cpuTimer } from '../../../support/cpu-timer.js';

// Tests of `artifactsOnly`: the referrers that a promotion copies.

const IN_TOTO = 'application/vnd.in-toto+json';
const digestTag = ({ digest }: Descriptor, suffix: string): string => `${digest.replace(':', '-')}.${suffix}`;
const digestsOf = (plan: CopyPlan): string[] => plan.manifests.map(({ descriptor }) => descriptor.digest);
const tagsOf = (plan: CopyPlan): string[] => plan.manifests.flatMap(({ tags = [] }) => tags).sort();
const reasonsOf = ({ leftOut }: Pick<CopyPlan, 'leftOut'>): [string, string][] =>
  leftOut.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)).map(({ digest, reason }) => [digest, reason]);

let source: MemoryRepository;
let destination: MemoryRepository;
let image: Descriptor;
let sbom: Descriptor;

beforeEach(async () => {
  source = new MemoryRepository('source/app');
  destination = new MemoryRepository('staging/app');
  image = await putRunnable(source, 'app', { tag: 'v1' });
  sbom = await putReferrer(source, image, 'sbom');
});

const travelling = { recursive: true, artifactsOnly: true } as const;
const plan = (root = image, excludeArtifactTypes: string[] = []): Promise<CopyPlan> =>
  planGraph(source, root, { ...travelling, excludeArtifactTypes });
const compare = (root = image) => compareGraphs(source, destination, root, { ...travelling, excludeArtifactTypes: [] });

/** Copies with `artifactsOnly`, then compares as a later run does. */
async function promote(root = image): Promise<CopyPlan> {
  const planned = await plan(root);
  await copyGraph(planned, source, destination);
  await verifyArrival(planned, destination, { source, pausesMs: [] });
  return planned;
}

/** Everything is copied except the named manifests, which are not a difference afterwards. */
async function expectLeftOut(left: Descriptor, reason: string, root = image): Promise<void> {
  const planned = await promote(root);
  expect(reasonsOf(planned)).toEqual([[left.digest, reason]]);
  expect(digestsOf(planned)).toEqual([image.digest, sbom.digest]);
  expect([...destination.manifests.keys()].sort()).toEqual([image.digest, sbom.digest].sort());
  expect([...destination.tags.keys()]).toEqual([]);
  const compared = await compare(root);
  expect(isNothingMissing(compared)).toBe(true);
  expect(reasonsOf(compared)).toEqual([[left.digest, reason]]);
}

async function expectTravels(...travels: Descriptor[]): Promise<CopyPlan> {
  const planned = await promote();
  expect(planned.leftOut).toEqual([]);
  expect(digestsOf(planned).sort()).toEqual([image, sbom, ...travels].map(({ digest }) => digest).sort());
  expect(isNothingMissing(await compare())).toBe(true);
  return planned;
}

/** Puts a manifest that a store would refuse if it parsed it. */
function putText(json: string, mediaType: string): Descriptor {
  const bytes = text(json);
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  const manifest: Manifest = { kind: 'artifact', mediaType, blobs: [], subject: image };
  source.manifests.set(descriptor.digest, { descriptor, bytes, manifest });
  return descriptor;
}

function notFound(): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', { method: 'GET', url: 'memory://', status: 404, registryCodes: [] });
}

/** An artifact that can be recognized only by its content. */
function putArtifact(content: string, options: { tag?: string; subject?: Descriptor } = {}): Promise<Descriptor> {
  const { tag, subject } = options;
  const layers = [{ mediaType: 'text/plain', bytes: text(content) }];
  const packed = packArtifact({ artifactType: 'text/artifact', layers, ...(subject && { subject }) });
  return pushPacked(source, packed, tag === undefined ? {} : { tag });
}

describe('images among the referrers are not copied', () => {
  test('a referrer that is an image is left out', async () => {
    await expectLeftOut(await putRunnable(source, 'converted', { subject: image }), 'image');
  });

  test('an image with the artifact type of an SBOM is left out', async () => {
    const artifactType = 'application/vnd.cyclonedx+json';
    await expectLeftOut(await putRunnable(source, 'evil', { subject: image, artifactType }), 'image');
  });

  test('an image whose list entry has a wrong media type, artifact type and size is left out', async () => {
    const evil = await putRunnable(source, 'evil', { subject: image });
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) =>
      (await list(digest, options)).map((entry) =>
        entry.digest === evil.digest ? { ...entry, mediaType: OCI_IMAGE_INDEX, artifactType: 'a/b', size: 1 } : entry,
      );
    await expectLeftOut(evil, 'image');
  });

  test.each(['sig', 'att', 'sbom'])('an image under a .%s tag is left out together with the tag', async (suffix) => {
    await expectLeftOut(await putRunnable(source, 'evil', { tag: digestTag(image, suffix) }), 'image');
  });

  test('an index under a .sig tag that lists an image is left out', async () => {
    const inner = await putRunnable(source, 'evil');
    await expectLeftOut(await putIndexOf(source, [inner], { tag: digestTag(image, 'sig') }), 'image');
  });

  test('an index of referrers that lists another image is left out, including its artifacts', async () => {
    const inner = [await putArtifact('report'), await putRunnable(source, 'evil')];
    await expectLeftOut(await putIndexOf(source, inner, { subject: image, artifactType: 'a/b' }), 'image');
  });

  test('an image nested in three indexes is found', async () => {
    let index = await putIndexOf(source, [await putRunnable(source, 'evil')]);
    index = await putIndexOf(source, [await putArtifact('report'), index]);
    await expectLeftOut(await putIndexOf(source, [index], { subject: image }), 'image');
  });

  test('an index that lists the promoted image is left out, because nobody has signed that index', async () => {
    await expectLeftOut(await putIndexOf(source, [image], { subject: image }), 'image');
  });

  test('the subject of an artifact is not copied if it is an image', async () => {
    const evil = await putRunnable(source, 'evil');
    await expectLeftOut(await putArtifact('x', { tag: digestTag(image, 'sig'), subject: evil }), 'not-its-subject');
  });

  test('the subject of a child in an index of artifacts is not copied if it is an image', async () => {
    const evil = await putRunnable(source, 'evil');
    const inner = await putArtifact('x', { subject: evil });
    await expectLeftOut(await putIndexOf(source, [inner], { subject: image }), 'unreadable');
  });

  test('an image that refers to an artifact is left out, but the artifact is copied', async () => {
    await expectLeftOut(await putRunnable(source, 'evil', { subject: sbom }), 'image');
  });

  test('referrers of a manifest that is left out are left out', async () => {
    const evil = await putRunnable(source, 'evil', { subject: image });
    const signature = await putReferrer(source, evil, 'signature of it');
    await putArtifact('tagged', { tag: digestTag(evil, 'sig') });
    await putRunnable(source, 'another', { subject: signature });
    await expectLeftOut(evil, 'image');
  });

  test('an index with a child of an unknown media type is left out, because a runtime may detect the type', async () => {
    source.sparse = true;
    const evil = await putRunnable(source, 'evil');
    const inner = { ...evil, mediaType: 'application/vnd.unknown+json' };
    await expectLeftOut(await putIndexOf(source, [inner], { subject: image }), 'unreadable');
  });

  test('an index with a missing child is left out, and everything else is copied', async () => {
    source.sparse = true;
    const gone = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(text('gone')), size: 4 };
    await expectLeftOut(await putIndexOf(source, [gone], { subject: image }), 'unreadable');
  });

  test('an image whose layers have the media type of a signature is left out, because podman unpacks them', async () => {
    const bytes = gzipSync(await tarOf([['app/evil', 'evil']]));
    const layers = [await putBlob(source, 'application/vnd.dev.cosign.simplesigning.v1+json', bytes)];
    const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
    const config = await putBlob(source, OCI_IMAGE_CONFIG, text(JSON.stringify({ rootfs })));
    const manifest = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers });
    const tag = digestTag(image, 'sig');
    await expectLeftOut(await source.pushManifest(manifest, OCI_IMAGE_MANIFEST, { tag }), 'image');
  });

  test('an image whose config does not list its layers is left out', async () => {
    const layer = await putBlob(source, 'application/vnd.oci.image.layer.v1.tar', text('layer'));
    const config = await putBlob(source, OCI_IMAGE_CONFIG, text('{}'));
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] });
    const tag = digestTag(image, 'att');
    await expectLeftOut(await source.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag }), 'unreadable');
  });

  test('an image without its config is left out', async () => {
    const evil = await putRunnable(source, 'evil, without its config', { subject: image });
    const { manifest } = source.manifests.get(evil.digest) ?? {};
    if (manifest?.kind !== 'image') throw new Error('no image');
    source.blobs.delete(manifest.config.digest);
    await expectLeftOut(evil, 'unreadable');
  });

  test('an index with more manifests than the limit is left out', async () => {
    source.sparse = true;
    const many = Array.from({ length: MOST_HELD_MANIFESTS + 1 }, (_, index) => ({
      mediaType: OCI_IMAGE_MANIFEST,
      digest: digestOf(text(String(index))),
      size: 1,
    }));
    await expectLeftOut(await putIndexOf(source, many, { subject: image }), 'unreadable');
  });

  test('many large indexes are examined up to a common limit, and the plan succeeds', async () => {
    source.sparse = true;
    const texts = await Promise.all(Array.from({ length: 900 }, (_, number) => putArtifact(`${number}`)));
    for (let number = 0; number < 12; number += 1) {
      await putIndexOf(source, texts, { subject: image, artifactType: `a/${number}` });
    }
    const planned = await plan();
    expect(reasonsOf(planned).map(([, reason]) => reason)).toEqual(['unreadable']);
    expect(planned.manifests).toHaveLength(2 + 900 + 11);
  });

  test('an index that lists one index ten thousand times is examined once', async () => {
    const artifact = await putArtifact('listed often');
    const inner = await putIndexOf(source, Array<Descriptor>(10_000).fill(artifact));
    const outer = await putIndexOf(source, Array<Descriptor>(10_000).fill(inner), { subject: image });
    const cpuMs = cpuTimer();
    const planned = await plan();
    expect(cpuMs()).toBeLessThan(5_000);
    expect(digestsOf(planned).sort()).toEqual([image, sbom, artifact, inner, outer].map(({ digest }) => digest).sort());
  }, 120_000);

  test('referrers with more foreign layers than the limit do not fail the plan', async () => {
    source.sparse = true;
    const config = { mediaType: 'application/x', digest: digestOf(text('{}')), size: 2 };
    for (let number = 0; number < 7; number += 1) {
      const layers = Array.from({ length: 15_000 }, (_, index) => ({
        mediaType: 'application/x',
        digest: digestOf(text(`${number} ${index}`)),
        size: 1,
        urls: ['https://elsewhere.example/'],
      }));
      const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers, subject: image };
      await source.pushManifest(encodeManifest(manifest), OCI_IMAGE_MANIFEST);
    }
    const planned = await plan();
    expect(planned.manifests).toHaveLength(3);
    expect(reasonsOf(planned).map(([, reason]) => reason)).toEqual(Array<string>(6).fill('unreadable'));
  });

  test('an index whose children form a long chain is left out', async () => {
    const chain = [await putArtifact('first')];
    for (let length = 1; length <= GRAPH_DEPTH + 2; length += 1) {
      const [subject] = chain;
      chain.unshift(await putArtifact(`on it ${length}`, { ...(subject && { subject }) }));
    }
    const long = await putIndexOf(source, chain, { subject: image });
    // A referrer of a child without a subject may be in the same index.
    const other = await putArtifact('other');
    const pair = [await putArtifact('on the other', { subject: other }), other];
    const short = await putIndexOf(source, pair, { subject: image });
    expect(reasonsOf(await promote())).toEqual([[long.digest, 'unreadable']]);
    expect(destination.manifests.has(short.digest)).toBe(true);
  });

  test('an index that lists an artifact twice, once under an unknown media type, is left out', async () => {
    source.sparse = true;
    const artifact = await putArtifact('listed twice');
    const children = [{ ...artifact, mediaType: 'application/x' }, artifact];
    await expectLeftOut(await putIndexOf(source, children, { subject: image }), 'unreadable');
  });

  test('referrers beyond the maximum depth are left out', async () => {
    let subject = sbom;
    for (let level = 2; level <= GRAPH_DEPTH + 1; level += 1) {
      subject = await putReferrer(source, subject, `${level}`);
    }
    const planned = await promote();
    expect(digestsOf(planned)).toHaveLength(GRAPH_DEPTH + 1);
    expect(reasonsOf(planned)).toEqual([[subject.digest, 'unreadable']]);
    expect(isNothingMissing(await compare())).toBe(true);
  });

  test('a referrer that is not of its media type is left out; a copy of everything refuses it', async () => {
    const bytes = text(JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config: 7, layers: [] }));
    const weird: Descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(bytes), size: bytes.length };
    const fetch = source.fetchManifest.bind(source);
    const list = source.listReferrers.bind(source);
    source.fetchManifest = (target, options) =>
      (typeof target === 'string' ? target : target.digest) === weird.digest
        ? Promise.resolve({ descriptor: weird, bytes })
        : fetch(target, options);
    source.listReferrers = async (digest, options) => [
      ...(digest === image.digest ? [weird] : []),
      ...(await list(digest, options)),
    ];
    await expectLeftOut(weird, 'unreadable');
    await expect(planGraph(source, image, { recursive: true })).rejects.toMatchObject({ code: 'DESCRIPTOR_INVALID' });
  });

  test.each([
    ['a name twice', '"layers":[],"layers":[]'],
    ['a name that Go reads as another', '"Layers":[]'],
    ['what reads as an index to some', '"manifests":[]'],
  ])('a referrer with ambiguous JSON is left out: %s', async (_what, more) => {
    const config = await putBlob(source, 'a/b', text('{}'));
    const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [], subject: image };
    const doubtful = putText(`${JSON.stringify(manifest).slice(0, -1)},${more}}`, OCI_IMAGE_MANIFEST);
    await expectLeftOut(doubtful, 'unreadable');
  });

  test('an image that is served as an index or artifact manifest is left out', async () => {
    const evil = await putRunnable(source, 'evil');
    const { manifest } = source.manifests.get(evil.digest) ?? {};
    if (manifest?.kind !== 'image') throw new Error('no image');
    const { config, layers } = manifest;
    const json = JSON.stringify({ schemaVersion: 2, config, layers, subject: image });
    await expectLeftOut(putText(json, OCI_IMAGE_INDEX), 'unreadable');
    source.manifests.delete(digestOf(text(json)));
    await expectLeftOut(putText(json, OCI_ARTIFACT_MANIFEST), 'unreadable');
  });

  test('a copy of everything includes images, as oras cp -r does', async () => {
    const converted = await putRunnable(source, 'converted', { subject: image });
    const tagged = await putRunnable(source, 'tagged', { tag: digestTag(image, 'sig') });
    const whole = await planGraph(source, image, { recursive: true });
    expect(digestsOf(whole)).toEqual(expect.arrayContaining([converted.digest, tagged.digest]));
  });
});

describe('referrers that are copied', () => {
  test("cosign's signatures, which have an image config but no file-system layer, are copied", async () => {
    const payload = await putBlob(source, 'application/vnd.dev.cosign.simplesigning.v1+json', text('{"critical":{}}'));
    const rootfs = { type: 'layers', diff_ids: [payload.digest] };
    const config = await putBlob(source, OCI_IMAGE_CONFIG, text(JSON.stringify({ rootfs })));
    const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [payload] });
    const tag = digestTag(image, 'sig');
    const signature = await source.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag });
    expect(tagsOf(await expectTravels(signature))).toEqual([tag]);
    expect(destination.tags.get(tag)).toBe(signature.digest);
  });

  test('attestations, Helm charts and ORAS folders are copied', async () => {
    const attestation = await putReferrer(source, image, '{}', IN_TOTO);
    const folder = await putReferrer(source, image, 'folder', 'application/vnd.oci.image.layer.v1.tar+gzip');
    const chart = encodeManifest({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: await putBlob(source, 'application/vnd.cncf.helm.config.v1+json', text('{"name":"chart"}')),
      layers: [await putBlob(source, 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', text('chart'))],
      subject: image,
    });
    await expectTravels(attestation, folder, await source.pushManifest(chart, OCI_IMAGE_MANIFEST));
  });

  test('an index of artifacts, nested indexes and their referrers are copied', async () => {
    const [one, two] = [await putArtifact('one'), await putArtifact('two')];
    const inner = await putIndexOf(source, [two]);
    const outer = await putIndexOf(source, [one, inner], { subject: image });
    const signature = await putReferrer(source, two, 'signature');
    const tagged = await putArtifact('tagged', { tag: digestTag(one, 'sig') });
    const planned = await expectTravels(one, two, inner, outer, signature, tagged);
    expect(tagsOf(planned)).toEqual([digestTag(one, 'sig')]);
  });

  test('an artifact under a digest tag is copied if it refers to that digest or to copied content', async () => {
    const own = await putArtifact('own', { tag: digestTag(image, 'sig'), subject: image });
    const other = await putArtifact('other', { tag: digestTag(image, 'att'), subject: sbom });
    expect(tagsOf(await expectTravels(own, other))).toEqual([digestTag(image, 'att'), digestTag(image, 'sig')]);
  });

  test("referrers of an index's children are copied, including attestations that refer to siblings", async () => {
    const other = await putRunnable(source, 'arm64');
    const attestation = await putReferrer(source, other, '{}', IN_TOTO);
    const root = await putIndex(source, [image, other, attestation], 'v2');
    const evil = await putRunnable(source, 'evil', { subject: other });
    const planned = await promote(root);
    expect(digestsOf(planned).sort()).toEqual(
      [root, image, other, attestation, sbom].map(({ digest }) => digest).sort(),
    );
    expect(reasonsOf(planned)).toEqual([[evil.digest, 'image']]);
    expect(isNothingMissing(await compare(root))).toBe(true);
  });

  test('a child of the root is copied as a child, even if a list names it as a referrer', async () => {
    const other = await putRunnable(source, 'arm64', { tag: 'kept' });
    const root = await putIndex(source, [image, other], 'v2');
    const tag = digestTag(root, 'sig');
    await source.pushManifest(source.manifests.get(other.digest)?.bytes ?? text(''), OCI_IMAGE_MANIFEST, { tag });
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => [
      ...(digest === root.digest ? [other] : []),
      ...(await list(digest, options)),
    ];
    const planned = await promote(root);
    expect(digestsOf(planned).sort()).toEqual([root, image, other, sbom].map(({ digest }) => digest).sort());
    expect(planned.leftOut).toEqual([]);
    expect(isNothingMissing(await compare(root))).toBe(true);
  });

  test('cycles of digest tags end', async () => {
    const one = await putArtifact('one', { tag: digestTag(image, 'sig') });
    const two = await putArtifact('two', { tag: digestTag(one, 'sig') });
    for (const [from, to] of [
      [two, one],
      [two, image],
    ] as const) {
      const tag = digestTag(from, to === one ? 'sig' : 'att');
      await source.pushManifest(source.manifests.get(to.digest)?.bytes ?? text(''), OCI_IMAGE_MANIFEST, { tag });
    }
    await expectTravels(one, two);
  });

  test('a wrong entry in one list does not hide a referrer', async () => {
    const note = await putReferrer(source, sbom, 'note');
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => [
      ...(digest === image.digest ? [{ ...note, size: 1, mediaType: OCI_IMAGE_INDEX }] : []),
      ...(await list(digest, options)),
    ];
    await expectTravels(note);
  });

  test('an excluded type is left out before its content is judged, also under a digest tag', async () => {
    const converted = await putRunnable(source, 'converted', { subject: image, artifactType: 'x/streaming' });
    const tagged = await putArtifact('tagged', { tag: digestTag(image, 'att'), subject: image });
    const { leftOut } = await plan(image, ['x/streaming', 'text/artifact']);
    expect(new Map(leftOut.map(({ digest, reason }) => [digest, reason]))).toEqual(
      new Map([
        [converted.digest, 'excluded'],
        [tagged.digest, 'excluded'],
      ]),
    );
  });
});

describe('a later comparison', () => {
  test('a digest tag that moves to an image after the plan is copied as planned', async () => {
    const tag = digestTag(image, 'sig');
    const signature = await putArtifact('signature', { tag });
    const planned = await plan();
    const evil = await putRunnable(source, 'evil', { tag });
    await copyGraph(planned, source, destination);
    await verifyArrival(planned, destination, { source, pausesMs: [] });
    expect(destination.tags.get(tag)).toBe(signature.digest);
    expect(destination.manifests.has(evil.digest)).toBe(false);
    const compared = await compare();
    expect([isNothingMissing(compared), reasonsOf(compared)]).toEqual([true, [[evil.digest, 'image']]]);
  });

  test('fetches no referrer that the destination has and lists', async () => {
    for (let number = 0; number < 20; number += 1) await putReferrer(source, sbom, `${number}`);
    await promote();
    source.calls.length = 0;
    expect(isNothingMissing(await compare())).toBe(true);
    expect(source.calls.flatMap(({ method, what }) => (method === 'fetchManifest' ? [what] : []))).toEqual([
      image.digest,
    ]);
    expect(source.count('openBlob')).toBe(0);
  });

  test('an image that an earlier version copied is not a difference, nor are its referrers', async () => {
    const evil = await putRunnable(source, 'evil', { subject: image });
    await copyGraph(await planGraph(source, image, { recursive: true }), source, destination);
    expect(isNothingMissing(await compare())).toBe(true);
    const signature = await putReferrer(source, evil, 'signature of it');
    const compared = await compare();
    expect([isNothingMissing(compared), reasonsOf(compared)]).toEqual([true, [[evil.digest, 'image']]]);
    expect(digestsOf(await plan())).not.toContain(signature.digest);
  });

  test('a new referrer of an existing artifact is a difference and costs only the fetch of that artifact', async () => {
    await promote();
    const signature = await putReferrer(source, sbom, 'signature');
    source.calls.length = 0;
    expect(await compare()).toMatchObject({ manifests: [{ digest: signature.digest }], tags: [] });
    expect(source.count('fetchManifest')).toBe(3);
    await promote();
    expect(isNothingMissing(await compare())).toBe(true);
  });

  test('an image that the destination has but does not list is left out', async () => {
    const evil = await putRunnable(source, 'evil', { subject: image });
    await promote();
    destination.unlisted.add(evil.digest);
    destination.sparse = true;
    await destination.pushManifest(source.manifests.get(evil.digest)?.bytes ?? text(''), OCI_IMAGE_MANIFEST);
    const compared = await compare();
    expect([isNothingMissing(compared), reasonsOf(compared)]).toEqual([true, [[evil.digest, 'image']]]);
  });

  test('a thousand referrers are fetched once each for a plan and never for the next comparison', async () => {
    for (let number = 0; number < 1_000; number += 1) await putReferrer(source, image, `${number}`);
    source.calls.length = 0;
    expect((await promote()).manifests).toHaveLength(1_002);
    const asked = ['fetchManifest', 'listReferrers'].map((method) => source.count(method as 'fetchManifest'));
    expect(asked).toEqual([1_002, 1_002]);
    source.calls.length = 0;
    expect(isNothingMissing(await compare())).toBe(true);
    expect([source.count('fetchManifest'), source.count('listReferrers')]).toEqual([1, 1_002]);
    expect(source.count('openBlob')).toBe(0);
  }, 60_000);
});

describe('an excluded artifact type', () => {
  const STREAMING = 'application/vnd.azure.artifact.streaming.v1';

  test('is read from the manifest, so that a wrong list entry cannot keep an SBOM from being copied', async () => {
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) =>
      (await list(digest, options)).map((entry) => ({ ...entry, artifactType: STREAMING }));
    const planned = await plan(image, [STREAMING]);
    expect(digestsOf(planned)).toContain(sbom.digest);
    expect(reasonsOf(planned)).toEqual([]);
    const compared = await compareGraphs(source, destination, image, {
      ...travelling,
      excludeArtifactTypes: [STREAMING],
    });
    expect(compared.manifests.map(({ digest }) => digest)).toContain(sbom.digest);
  });

  test('excludes a missing manifest that is listed with this type', async () => {
    const gone = await putReferrer(source, image, 'gone');
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) =>
      (await list(digest, options)).map((entry) =>
        entry.digest === gone.digest ? { ...entry, artifactType: STREAMING } : entry,
      );
    source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === gone.digest) throw notFound();
    };
    expect(reasonsOf(await plan(image, [STREAMING]))).toEqual([[gone.digest, 'excluded']]);
  });
});
