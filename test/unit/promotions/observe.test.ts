import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  OCI_IMAGE_INDEX,
  PolicyError,
  TransportError,
  encodeManifest,
  type Descriptor,
} from '../../../src/oci/index.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import { openedBy, writeGatePassed } from '../../../src/rows/row-writes.js';
import { fingerprint } from '../../../src/rules/rule.js';
import { attachStep } from '../../../src/evidence/attach.js';
import { classifyGraph, MANIFEST_BYTES_IN_ALL } from '../../../src/evidence/classify.js';
import type { Image } from '../../../src/evidence/contracts.js';
import type { ResultOf } from '../../../src/rows/step-contract.js';
import type { observeContract } from '../../../src/promotions/contracts.js';
import { copyRequestOfPromotion, copyStep } from '../../../src/transfer/copy.js';
import { observeStep } from '../../../src/promotions/observe.js';
import type { StepReply } from '../../../src/ports/step.js';
import { tagDestinationStep } from '../../../src/transfer/tag.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushChart, pushImage, pushIndex, pushMultiPlatform } from '../../support/images.js';
import {
  DESTINATION,
  REGISTRY,
  SOURCE,
  callOf,
  newCall,
  newWorld,
  openRun,
  rowOf,
  runOf,
  type World,
} from '../../support/world.js';

type Observed = ResultOf<typeof observeContract>;
type Found = Extract<Observed, { state: 'found' }>;

let world: World;
let source: MemoryRepository;

beforeEach(() => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
});

function done<T>(reply: StepReply<T>): T {
  if (!('done' in reply)) throw new Error('it asks for later');
  return reply.done;
}
/** What a run finds that begins now: of an earlier look nothing is kept. */
async function observe(which = world.ruleList[0]): Promise<Observed> {
  return observeOf(await openRun(world, which));
}
async function observeOf(run: { promotionId: string; runId: string }): Promise<Observed> {
  await world.documents.removeAll('documents', `plans/${run.runId}/`);
  return done(await observeStep(world, run, await callOf(world, run.runId)));
}
/** With what of the graph gets something attached. */
async function found(): Promise<Found & { images: Image[] }> {
  const observed = await observe();
  if (observed.state !== 'found') throw new Error(`it is ${observed.state}`);
  const { images } = await classifyGraph(source, observed.root, newCall().signal);
  return { ...observed, images };
}

/** Does what a run does after it has observed. */
async function promote(): Promise<void> {
  const { root } = await found();
  const run = await openRun(world);
  await world.documents.removeAll('documents', `plans/${run.runId}/`);
  const given = { promotionId: run.promotionId, runId: run.runId, root: root.digest };
  done(await attachStep(world, given, await callOf(world, run.runId)));
  const request = copyRequestOfPromotion(openedBy(await callOf(world, run.runId)));
  done(await copyStep(world, request, given, await callOf(world, run.runId)));
  done(await tagDestinationStep(world, { ...run, root }, await callOf(world, run.runId)));
}

describe('the start of a run', () => {
  test('takes the promotion’s row, and answers the generation in it', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    const run = await openRun(world);
    await openRun(world);
    expect(await observeOf(run)).toMatchObject({ state: 'found', generation: 2 });
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'running', generation: 2, digest });
    expect((await world.store.getPromotion(run.promotionId))?.value).toMatchObject({
      runBegun: true,
      state: 'working',
    });
  });

  test('in several calls answers the generation of its first read of the tag', async () => {
    world.callBounds = { ...world.callBounds, requests: 1 };
    await pushImage(source, { tag: SOURCE.tag });
    const run = await openRun(world);
    const first = await observeStep(world, run, await callOf(world, run.runId));
    expect(first).toEqual({ retryAfterMs: 0 });
    // What the first call has listed may lack what this trigger reports.
    await openRun(world);
    let reply = first;
    for (let calls = 0; 'retryAfterMs' in reply && calls < 50; calls += 1)
      reply = await observeStep(world, run, await callOf(world, run.runId));
    expect(reply).toMatchObject({ done: { state: 'found', generation: 1 } });
    expect(await rowOf(world, run.promotionId)).toMatchObject({ generation: 2 });
  });

  test('returns the generation even if there is nothing to promote', async () => {
    const run = await openRun(world);
    await expect(observeOf(run)).rejects.toMatchObject({ code: 'SOURCE_GONE' });
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'running', generation: 1 });
  });

  test('does nothing if the run has ended, does not own the row, or does not exist', async () => {
    await pushImage(source, { tag: SOURCE.tag });
    const run = await openRun(world);
    const gone = { done: { state: 'gone' } };
    expect(await observeStep(world, { ...run, runId: 'nobody' }, newCall())).toEqual(gone);
    const row = await runOf(world, run.runId);
    await world.store.insertRun({ ...row, id: 'another' });
    expect(await observeStep(world, { ...run, runId: 'another' }, await callOf(world, 'another'))).toEqual(gone);
    expect(await runOf(world, 'another')).toMatchObject({ state: 'ended' });
    await endRunRow(world, run.runId, { outcome: 'cancelled' });
    expect(await observeStep(world, run, await callOf(world, run.runId))).toEqual(gone);
    expect(source.calls.filter(({ method }) => method === 'resolve')).toEqual([]);
  });
});

describe('a tag that cannot be promoted', () => {
  test('is missing', async () => {
    await expect(observe()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
  });

  test('a tag that names a referrer is refused: it is copied with its subject', async () => {
    const subject = await pushImage(source);
    const { digest } = await pushArtifact(source, 'application/x-report', { subject, tag: SOURCE.tag });
    expect(await observe()).toMatchObject({ state: 'refused', code: 'IS_REFERRER', digest });
  });
});

describe('the gate', () => {
  const gated = rule({ verify: { signatures: [{ format: 'notary', trustStore: 'x', identities: ['*'] }] } });

  async function passGate(digest: string, by = fingerprint(gated)): Promise<void> {
    const { promotionId, runId } = await openRun(world);
    await writeGatePassed(world, promotionId, runId, { digest, fingerprint: by });
  }

  test('is passed if the rule requires nothing', async () => {
    await pushImage(source, { tag: SOURCE.tag });
    expect(await found()).toMatchObject({ gate: 'passed' });
  });

  test('is passed if the destination has the digest that passed before under the same rule', async () => {
    world.ruleList = [gated];
    const image = await pushImage(source, { tag: SOURCE.tag });
    expect(await found()).toMatchObject({ gate: 'closed' });
    await passGate(image.digest);
    // The tag is not there: it may have been deleted on purpose.
    expect(await found()).toMatchObject({ gate: 'closed' });
    await promote();
    expect(await found()).toMatchObject({ gate: 'passed', differences: [] });
    await passGate(image.digest, 'another rule');
    expect(await found()).toMatchObject({ gate: 'closed', differences: [] });
    await passGate(`sha256:${'e'.repeat(64)}`);
    expect(await found()).toMatchObject({ gate: 'closed', differences: [] });
  });
});

describe('the observed graph', () => {
  test('has one image that gets an SBOM', async () => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    const { root, images, differences, attachTo } = await found();
    expect(attachTo).toBe('source');
    expect(root.digest).toBe(image.digest);
    expect(images).toEqual([{ ...root, label: 'image', sbom: true }]);
    expect(differences).toEqual([`${DESTINATION} is not there`, 'image has no SBOM or signature from this app yet']);
  });

  test('of an index with an attestation has the root first, an SBOM for each image, and a reason for each other', async () => {
    const { root, amd64, arm64, attestation } = await pushMultiPlatform(source, SOURCE.tag);
    const { images } = await found();
    expect(images.map(({ digest, label, sbom }) => [digest, label, sbom])).toEqual([
      [root.digest, 'index', false],
      [amd64.digest, 'linux/amd64', true],
      [arm64.digest, 'linux/arm64/v8', true],
      [attestation.digest, 'attestation', false],
    ]);
    expect(images[3]?.why).toMatch(/attestation/);
  });

  test('includes the images of an index in an index', async () => {
    const amd64 = await pushImage(source, { content: 'amd64' });
    const inner = await pushIndex(source, [{ ...amd64, platform: { os: 'linux', architecture: 'amd64' } }]);
    await pushIndex(source, [inner], { tag: SOURCE.tag });
    const { images } = await found();
    expect(images.map(({ label, sbom }) => [label.split(' ')[0], sbom])).toEqual([
      ['index', false],
      ['index', false],
      ['linux/amd64', true],
    ]);
  });

  test('has an image that is listed twice only once, and different labels for two images of one platform', async () => {
    const windows = { os: 'windows', architecture: 'amd64' };
    const [one, other] = [await pushImage(source, { content: '1' }), await pushImage(source, { content: '2' })];
    await pushIndex(
      source,
      [
        { ...one, platform: windows },
        { ...one, platform: windows },
        { ...other, platform: windows },
      ],
      { tag: SOURCE.tag },
    );
    const { images } = await found();
    expect(images).toHaveLength(3);
    expect(new Set(images.map(({ label }) => label)).size).toBe(3);
  });

  test('of a chart or an ORAS artifact gets a signature but no SBOM', async () => {
    await pushChart(source, SOURCE.tag);
    expect((await found()).images).toMatchObject([
      { label: 'application/vnd.cncf.helm.config.v1+json', sbom: false, why: expect.stringContaining('not an image') },
    ]);
    await pushArtifact(source, 'application/x-report', { tag: SOURCE.tag });
    expect((await found()).images).toMatchObject([{ label: 'application/x-report', sbom: false }]);
  });

  test('has labels that are safe to print', async () => {
    await pushArtifact(source, `application/x-${'y'.repeat(5000)}`, { tag: SOURCE.tag, mediaType: 'text/plain' });
    const { images } = await found();
    expect(images[0]?.label.length).toBeLessThanOrEqual(200);
  });

  test('with too many images is refused', async () => {
    const children = [];
    for (let index = 0; index <= 100; index += 1) {
      children.push(await pushArtifact(source, 'application/x-child', { text: String(index) }));
    }
    await pushIndex(source, children, { tag: SOURCE.tag });
    expect(await observe()).toMatchObject({ state: 'refused', code: 'TOO_MANY_IMAGES' });
  });

  test('with too many bytes of manifests is refused before they are in memory', async () => {
    const image = await pushImage(source);
    const size = 3 * 1024 * 1024;
    const children: Descriptor[] = [];
    for (let index = 0; children.length * size <= 2 * MANIFEST_BYTES_IN_ALL; index += 1) {
      const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [image] };
      const annotations = { text: 'x'.repeat(size), index: String(index) };
      const bytes = encodeManifest({ ...manifest, annotations });
      children.push(await source.pushManifest(bytes, OCI_IMAGE_INDEX));
    }
    const { digest } = await pushIndex(source, children.slice(0, 4), { tag: SOURCE.tag });
    expect(await observe()).toMatchObject({ state: 'found', root: { digest } });
    await pushIndex(source, children, { tag: SOURCE.tag });
    expect(await observe()).toMatchObject({ state: 'refused', code: 'TOO_MANY_IMAGES' });
  });

  test('is refused with the digest for a policy error; any other error is thrown', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    source.failNth('fetchManifest', 1, new PolicyError('REGISTRY_NOT_ALLOWED', 'no'));
    expect(await observe()).toMatchObject({ state: 'refused', code: 'REGISTRY_NOT_ALLOWED', digest });
    source.failNth('fetchManifest', 1, new TransportError('CONNECT_FAILED', 'down'));
    await expect(observe()).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });
});

describe('content that nobody can promote is refused, with the digest', () => {
  const LINUX = { os: 'linux', architecture: 'amd64' };

  test('a child with a subject, unless it is an attestation of another child', async () => {
    const image = await pushImage(source);
    const scan = await pushArtifact(source, 'application/vnd.cyclonedx+json', { subject: image });
    const { digest } = await pushIndex(source, [{ ...image, platform: LINUX }, scan], { tag: SOURCE.tag });
    expect(await observe()).toMatchObject({ state: 'refused', code: 'REFERRER_IN_INDEX', digest });
    const other = await pushImage(source, { content: 'other' });
    for (const [subject, state] of [
      [image, 'found'],
      [other, 'refused'],
    ] as const) {
      const provenance = await pushArtifact(source, 'application/vnd.in-toto+json', { subject });
      await pushIndex(source, [{ ...image, platform: LINUX }, provenance], { tag: SOURCE.tag });
      const observed = await observe();
      expect(observed.state).toBe(state);
      // It is copied, and gets nothing of its own; evidence on it finds the promotion all the same.
      if (observed.state !== 'found') continue;
      expect((await found()).images.map((each) => each.digest)).not.toContain(provenance.digest);
      const { registry, repository } = SOURCE;
      expect(
        await world.store.listPromotionsOfSubject({ registry, repository, digest: provenance.digest }),
      ).toHaveLength(1);
    }
  });

  test.each<[string, object]>([
    ['another type', { mediaType: 'application/vnd.docker.distribution.manifest.v2+json' }],
    ['a type that is no manifest', { mediaType: 'application/x-unknown' }],
    ['another size', { size: 1 }],
  ])('an index that names %s of a child', async (_name, lie) => {
    const image = await pushImage(source);
    source.sparse = true;
    await pushIndex(source, [{ ...image, ...lie }], { tag: SOURCE.tag });
    expect(await observe()).toMatchObject({ state: 'refused', code: 'DESCRIPTOR_MISMATCH' });
  });

  test('a child of an unknown type is a blob only if the registry has no manifest for it', async () => {
    // Kinds are remembered: this one is not yet.
    const image = await pushImage(source, { content: 'never seen before' });
    source.sparse = true;
    await pushIndex(source, [{ ...image, mediaType: 'application/x-unknown' }], { tag: SOURCE.tag });
    // What is missing is not the manifest.
    source.blobs.clear();
    await expect(observe()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
    source.manifests.delete(image.digest);
    expect((await found()).images).toHaveLength(1);
  });

  test('types and sizes to sign are those that were fetched', async () => {
    const image = await pushImage(source);
    await pushIndex(source, [{ ...image, annotations: { a: 'b' }, platform: LINUX }], { tag: SOURCE.tag });
    const { images } = await found();
    expect(images[1]).toEqual({ ...image, label: 'linux/amd64', sbom: true });
  });
});

describe('the differences', () => {
  beforeEach(async () => {
    await pushImage(source, { tag: SOURCE.tag });
  });

  test('are none after a promotion', async () => {
    await promote();
    expect((await found()).differences).toEqual([]);
  });

  test('include a destination tag with another digest', async () => {
    await promote();
    const before = (await found()).root.digest;
    await pushImage(source, { tag: SOURCE.tag, content: 'two' });
    expect((await found()).differences).toContainEqual(`${DESTINATION} is ${before}`);
  });

  test('include a referrer that was pushed since', async () => {
    await promote();
    const { root } = await found();
    await pushArtifact(source, 'application/x-report', { subject: root });
    expect((await found()).differences).toEqual([expect.stringContaining('lacks 1 manifests, 1 referrers')]);
  });

  test('do not include a referrer that the rule excludes', async () => {
    await promote();
    const { root } = await found();
    await pushArtifact(source, 'application/vnd.azure.artifact.streaming.v1', { subject: root });
    expect((await found()).differences).toEqual([]);
  });

  test('include a referrer that the destination no longer lists', async () => {
    await promote();
    const { root } = await found();
    const destination = world.registries.repository(REGISTRY, 'staging/samples/app');
    const [lost] = await destination.listReferrers(root.digest);
    destination.unlisted.add(lost?.digest ?? '');
    expect((await found()).differences).toEqual([expect.stringContaining('lacks 0 manifests, 1 referrers')]);
  });

  test('include a signature of this app that is missing', async () => {
    await promote();
    const { root } = await found();
    for (const { digest } of await source.listReferrers(root.digest)) await source.deleteManifest(digest);
    expect((await found()).differences).toEqual(['image has no SBOM or signature from this app yet']);
  });

  test('are found without a request at the source for each attachment that it lists and the destination has', async () => {
    await promote();
    source.calls.length = 0;
    expect((await found()).differences).toEqual([]);
    expect(source.calls.filter(({ method }) => method === 'resolve').map(({ what }) => what)).toEqual([SOURCE.tag]);
  });

  test.each([
    ['the registry', []],
    ['anybody who may push a referrers tag', ['image has no SBOM from this app yet']],
  ])('if the source no longer has an SBOM that is listed by %s', async (by, differences) => {
    await promote();
    const { root } = await found();
    const listed = await source.listReferrers(root.digest);
    const { digest: sbom } = listed.find(({ artifactType }) => artifactType === 'application/vnd.cyclonedx+json') ?? {};
    if (by !== 'the registry') source.tags.set(root.digest.replace(':', '-'), root.digest);
    source.replica = (there, read) => {
      const manifests = new Map([...there.manifests].filter(([digest]) => digest !== sbom));
      return read({ ...there, manifests });
    };
    expect(sbom).toBeDefined();
    expect(await observe()).toMatchObject({ differences });
  });

  test('include no SBOM or signature if the rule requires none', async () => {
    world.ruleList = [rule({ sign: [], sbom: { formats: [] } })];
    const { differences, attachTo } = await found();
    expect(differences).toEqual([`${DESTINATION} is not there`]);
    expect(attachTo).toBeUndefined();
  });

  test('include a signature if no key is configured and the rule only observes', async () => {
    world.signer = undefined;
    world.ruleList = [rule({ mode: 'observe' })];
    expect((await found()).differences).toContain('image has no SBOM or signature from this app yet');
  });
});

describe('the rows of a run', () => {
  test('with its digests are written before referrers are listed', async () => {
    const { root, amd64 } = await pushMultiPlatform(source, SOURCE.tag);
    const { promotionId } = await openRun(world);
    const seen: string[][] = [];
    source.fault = async ({ method }) => {
      if (method !== 'listReferrers') return;
      for (const { digest } of [root, amd64]) {
        seen.push(
          await world.store.listPromotionsOfSubject({ registry: REGISTRY, repository: SOURCE.repository, digest }),
        );
      }
    };
    await found();
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.every((ids) => ids.includes(promotionId))).toBe(true);
    // Housekeeping tells by that which of them the tag has left.
    const kept = (await world.store.listSubjectIndex()).items;
    expect(kept).toHaveLength(4);
    for (const each of kept) expect(each).toMatchObject({ root: root.digest, at: world.now().toISOString() });
  });

  test('are refused with the digest if another rule owns the destination', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    const other = rule({ name: 'other' });
    world.ruleList = [rule(), other];
    await observe(other);
    expect(await observe()).toMatchObject({
      state: 'refused',
      code: 'DESTINATION_TAKEN',
      reason: expect.stringContaining('rule other'),
      remedy: expect.any(String),
      digest,
    });
  });

  test('of a rule that observes take no destination from a rule that writes', async () => {
    await pushImage(source, { tag: SOURCE.tag });
    const watching = rule({ name: 'watching', mode: 'observe' });
    world.ruleList = [watching, rule()];
    expect(await observe(watching)).toMatchObject({ state: 'found', mode: 'observe' });
    expect(await observe(rule())).toMatchObject({ state: 'found', mode: 'enforce' });
  });
});
