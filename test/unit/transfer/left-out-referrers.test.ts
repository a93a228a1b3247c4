import { beforeEach, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { closeRunStep } from '../../../src/promotions/close-run.js';
import { type CopyRequest, copyStep, verifyArrivalStep } from '../../../src/transfer/copy.js';
import { hasDifference } from '../../../src/schedule/promotion-difference.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { putRunnable } from '../../support/graphs.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { putInSync } from '../../support/in-sync.js';
import { REGISTRY, SOURCE, callOf, newCall, runOf, newWorld, rowOf, openRun, type World } from '../../support/world.js';
import { MOST_LEFT_BEHIND } from '../../../src/transfer/run-documents.js';

// What a promotion leaves at the source, from the plan to the receipt.

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const TO = { registry: REGISTRY, repository: 'staging/samples/app' };

const JOB: CopyRequest = {
  source: FROM,
  root: SOURCE.tag,
  recursive: true,
  excludeArtifactTypes: [],
  destination: TO,
};

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let image: Descriptor;

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, TO.repository);
  image = await pushImage(source, { tag: SOURCE.tag });
});

/** A run from its plan to its end. @returns what the copy said of itself, and the receipt's data */
async function promote(): Promise<{ said: string | undefined; data: Record<string, unknown> }> {
  const run = await openRun(world);
  const call = newCall(undefined, await runOf(world, run.runId));
  const { excludeArtifactTypes } = run.rule.referrers;
  const request: CopyRequest = { ...JOB, tag: SOURCE.tag, excludeArtifactTypes };
  const input = { runId: run.runId, root: image.digest };
  await copyStep(world, request, input, call);
  await verifyArrivalStep(world, request, input, newCall());
  const result = { outcome: 'promoted' as const, digest: image.digest };
  await closeRunStep(world, { ...run, generation: 1, result, did: [] }, newCall());
  const receipt = world.documents.kept.get(`receipts/${run.runId}.json`);
  const { data } = JSON.parse(Buffer.from(receipt ?? '{}').toString()) as { data: Record<string, unknown> };
  return { said: call.texts.at(-1), data };
}

test('an image that refers to the promoted one stays at the source; the step and the receipt name it', async () => {
  const artifactType = 'application/x-converted';
  const converted = await putRunnable(source, 'converted', { subject: image, artifactType });
  const report = await pushArtifact(source, 'application/x-report', { subject: image });
  const { said, data } = await promote();
  expect([...destination.manifests.keys()].sort()).toEqual([image.digest, report.digest].sort());
  expect(said).toContain(`left out ${converted.digest} (REFERRER_IS_IMAGE)`);
  expect(data).toMatchObject({
    outcome: 'promoted',
    leftOut: { count: 1, referrers: [{ digest: converted.digest, artifactType, code: 'REFERRER_IS_IMAGE' }] },
  });
});

test('a receipt does not mention excluded referrers, or that nothing was left out', async () => {
  world.ruleList = [rule({ referrers: { excludeArtifactTypes: ['application/x-scratch'] } })];
  await putRunnable(source, 'converted', { subject: image, artifactType: 'application/x-scratch' });
  const { said, data } = await promote();
  expect(said).not.toContain('left out');
  expect(data).not.toHaveProperty('leftOut');
});

test('a receipt names the first referrers that were left out, and the number of all', async () => {
  const count = MOST_LEFT_BEHIND + 10;
  for (let number = 0; number < count; number += 1) await putRunnable(source, `${number}`, { subject: image });
  const { said, data } = await promote();
  const { leftOut } = data as { leftOut: { count: number; referrers: { digest: string }[] } };
  expect([leftOut.count, leftOut.referrers.length]).toEqual([count, MOST_LEFT_BEHIND]);
  const digests = leftOut.referrers.map(({ digest }) => digest);
  expect(digests).toEqual(digests.toSorted());
  expect(said).toContain(`and ${count - 3} more`);
});

test('a job copies images that refer to an image, as oras cp -r does', async () => {
  const converted = await putRunnable(source, 'converted', { subject: image });
  await copyStep(world, JOB, { runId: 'j1' }, newCall());
  expect(destination.manifests.has(converted.digest)).toBe(true);
});

test('referrers that were left out are no difference for the next run and for resync', async () => {
  const id = await putInSync(world, rule());
  await putRunnable(source, 'converted', { subject: image });
  await putRunnable(source, 'tagged', { tag: `${image.digest.replace(':', '-')}.sig` });
  expect(await hasDifference(world, rule(), await rowOf(world, id), newCall().signal)).toBe(false);
  const run = await openRun(world);
  const observed = await observeStep(world, run, await callOf(world, run.runId));
  expect(observed).toMatchObject({ done: { state: 'found', differences: [] } });
});
