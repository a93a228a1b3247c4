import { beforeEach, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { closeRunStep } from '../../../src/promotions/close-run.js';
import { copyGraphStep, verifyArrivalStep } from '../../../src/transfer/copy-graph.js';
import { deepPass } from '../../../src/schedule/deep-pass.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { planCopyStep } from '../../../src/transfer/plan-copy.js';
import { putRunnable } from '../oci/copy/graphs.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { putInSync } from '../../support/in-sync.js';
import { REGISTRY, SOURCE, newCall, newWorld, openRun, type World } from '../../support/world.js';
import { MOST_LEFT_BEHIND } from '../../../src/transfer/left-behind.js';
import { SCAN_MS } from '../../../src/schedule/walk-schedule.js';

// What a promotion leaves at the source, from the plan to the receipt.

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const TO = { registry: REGISTRY, repository: 'staging/samples/app' };

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

/** A run from its plan to its end. @returns what the plan said of itself, and the receipt's data */
async function promote(): Promise<{ said: string | undefined; data: Record<string, unknown> }> {
  const run = await openRun(world);
  const call = newCall();
  const { excludeArtifactTypes } = run.rule.referrers;
  const plan = await planCopyStep(
    world,
    {
      runId: run.runId,
      source: FROM,
      root: image.digest,
      tag: SOURCE.tag,
      recursive: true,
      excludeArtifactTypes,
      destination: TO,
    },
    call,
  );
  if (plan.state !== 'planned') throw new Error(plan.state);
  const copy = { runId: run.runId, plan: plan.plan, source: FROM, destination: TO };
  await copyGraphStep(world, copy, newCall());
  await verifyArrivalStep(world, copy, newCall());
  const result = { outcome: 'promoted' as const, digest: image.digest };
  await closeRunStep(world, { ...run, wanted: 1, result, did: [] }, newCall());
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

test('a receipt of a promotion that left nothing says nothing of it, nor of what the rule excludes', async () => {
  world.ruleList = [rule({ referrers: { excludeArtifactTypes: ['application/x-scratch'] } })];
  await putRunnable(source, 'converted', { subject: image, artifactType: 'application/x-scratch' });
  const { said, data } = await promote();
  expect(said).not.toContain('left out');
  expect(data).not.toHaveProperty('leftOut');
});

test('a receipt names the first of many, and has the number of all', async () => {
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
  const input = { runId: 'j1', source: FROM, root: image.digest, recursive: true, excludeArtifactTypes: [] };
  await planCopyStep(world, input, newCall());
  await copyGraphStep(world, { runId: 'j1', plan: 'plans/j1.json', source: FROM, destination: TO }, newCall());
  expect(destination.manifests.has(converted.digest)).toBe(true);
});

test('what was left out is no difference: to the next run, and to the deep pass', async () => {
  await putInSync(world, rule());
  await putRunnable(source, 'converted', { subject: image });
  await putRunnable(source, 'tagged', { tag: `${image.digest.replace(':', '-')}.sig` });
  const pass = {
    ports: world,
    call: newCall(),
    until: world.nowMs + SCAN_MS,
    started: 0,
    maxStarted: 200,
    looked: 0,
    asked: new Map(),
    problems: [],
  };
  expect(await deepPass(pass, world.ruleList)).toBe(0);
  const observed = await observeStep(world, await openRun(world), newCall());
  expect(observed).toMatchObject({ state: 'found', differences: [] });
});
