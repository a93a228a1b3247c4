import { beforeEach, expect, test } from '@jest/globals';
import type { Descriptor, Digest } from '../../../src/oci/index.js';
import { attachStep } from '../../../src/evidence/attach.js';
import { openedBy } from '../../../src/rows/row-writes.js';
import type { Rule } from '../../../src/rules/rule.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { copyRequestOfPromotion, copyStep, verifyArrivalStep } from '../../../src/transfer/copy.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { NOTARY_SIGNATURE, pushMultiPlatform } from '../../support/images.js';
import { REGISTRY, SOURCE, callOf, newWorld, openRun, type World } from '../../support/world.js';

// What a run has attached arrives at the destination, or the run fails.

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let root: Descriptor;
let amd64: Descriptor;
let run: { promotionId: string; runId: string };

beforeEach(async () => {
  world = newWorld(rule());
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, 'staging/samples/app');
  ({ root, amd64 } = await pushMultiPlatform(source, SOURCE.tag));
});

async function attached(which: Rule = rule()): Promise<void> {
  run = await openRun(world, which);
  await attachStep(world, { ...run, root: root.digest }, await callOf(world, run.runId));
}

async function copied(): Promise<unknown> {
  const call = await callOf(world, run.runId);
  const request = copyRequestOfPromotion(openedBy(call));
  const reply = await copyStep(world, request, { ...run, root: root.digest }, call);
  await verifyArrivalStep(world, request, run, call);
  return reply;
}

const done = { done: { state: 'copied' } };

/** What refers to `subject` is deleted at the source. */
async function remove(subject: Pick<Descriptor, 'digest'>, artifactType?: string): Promise<void> {
  const listed = await source.listReferrers(subject.digest, { ...(artifactType !== undefined && { artifactType }) });
  expect(listed).not.toHaveLength(0);
  for (const { digest } of listed) source.manifests.delete(digest);
}

async function sbomOf(image: Descriptor): Promise<Descriptor> {
  const [sbom] = await source.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
  if (sbom === undefined) throw new Error('no SBOM');
  return sbom;
}

const LOST: [string, () => Promise<void>, RegExp][] = [
  ['an SBOM', () => remove(amd64, SBOM_MEDIA_TYPES.cyclonedx), /SBOM of linux\/amd64 \(sha256/],
  ['a signature of an image', () => remove(amd64, NOTARY_SIGNATURE), /signature of linux\/amd64 \(sha256/],
  ['the signature of the index', () => remove(root, NOTARY_SIGNATURE), /signature of index \(sha256/],
  ['the signature of an SBOM', async () => remove(await sbomOf(amd64)), /signature of the SBOM of linux\/amd64/],
  ['an SBOM and a signature', () => remove(amd64), /SBOM of linux\/amd64 .*; signature of linux\/amd64/],
];
test.each(LOST)('%s that is gone before the copy fails the run, which copies nothing', async (_what, lose, message) => {
  await attached();
  await lose();
  await expect(copied()).rejects.toMatchObject({
    code: 'EVIDENCE_LOST',
    message: expect.stringMatching(message),
    remedy: expect.stringContaining('sha256-'),
  });
  expect(destination.manifests.size).toBe(0);
});

test('an attachment that the source shows again is copied by the next call', async () => {
  await attached();
  const { digest } = await sbomOf(amd64);
  const sbom = source.manifests.get(digest);
  source.manifests.delete(digest);
  await expect(copied()).rejects.toMatchObject({ code: 'EVIDENCE_LOST' });
  if (sbom !== undefined) source.manifests.set(digest, sbom);
  expect(await copied()).toMatchObject(done);
  expect(destination.manifests.has(digest)).toBe(true);
});

test('every attachment of the run is listed at the destination, also one that the source does not list', async () => {
  await attached();
  const sbom = await sbomOf(amd64);
  source.unlisted.add(sbom.digest);
  expect(await copied()).toMatchObject(done);
  const listed = async (subject: Digest): Promise<number> => (await destination.listReferrers(subject)).length;
  expect([await listed(root.digest), await listed(amd64.digest), await listed(sbom.digest)]).toEqual([1, 2, 1]);
});

test.each([
  ['SBOMs', [SBOM_MEDIA_TYPES.cyclonedx]],
  ['signatures', [NOTARY_SIGNATURE]],
  ['both', [SBOM_MEDIA_TYPES.cyclonedx, NOTARY_SIGNATURE]],
])('the copy does not need what the rule excludes (%s), whether the source lists it or not', async (_what, types) => {
  await attached(rule({ referrers: { excludeArtifactTypes: types } }));
  const sbom = await sbomOf(amd64);
  for (const { digest } of await source.listReferrers(amd64.digest)) source.unlisted.add(digest);
  expect(await copied()).toMatchObject(done);
  const listed = await destination.listReferrers(amd64.digest);
  expect(listed.filter(({ artifactType = '' }) => types.includes(artifactType))).toEqual([]);
  // The signature of an SBOM is not copied without the SBOM.
  expect(await destination.listReferrers(sbom.digest)).toEqual([]);
});

test('the run fails if the destination does not list what was attached there, and continues if it does later', async () => {
  root = (await pushMultiPlatform(destination, SOURCE.tag)).root;
  const push = destination.pushManifest.bind(destination);
  destination.pushManifest = async (...args) => {
    const pushed = await push(...args);
    destination.unlisted.add(pushed.digest);
    return pushed;
  };
  const which = rule({ attachTo: 'destination' });
  await expect(attached(which)).rejects.toMatchObject({ code: 'EVIDENCE_LOST' });
  destination.unlisted.clear();
  await attached(which);
});
