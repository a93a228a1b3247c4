import { beforeEach, describe, expect, test } from '@jest/globals';
import type { CopyReport, Descriptor } from '../../../src/oci/index.js';
import { copyArtifact } from '../../../src/oras/index.js';
import { copyGraphStep, verifyArrivalStep } from '../../../src/transfer/copy-graph.js';
import { copyPartStep } from '../../../src/transfer/copy-part.js';
import { receiptSchema } from '../../../src/transfer/copy-report.js';
import { partName } from '../../../src/transfer/part-name.js';
import { planCopyStep } from '../../../src/transfer/plan-copy.js';
import { tagCopyStep } from '../../../src/operations/tag-copy.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { pushArtifact, pushMultiPlatform } from '../../support/images.js';
import { openJobRun } from '../../support/job-world.js';
import { REGISTRY, SOURCE, newCall, newWorld, runOf, type World } from '../../support/world.js';

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const runId = 'j1';
const TO = { registry: 'other.azurecr.io', repository: 'mirror/app' };

let world: World;
let destination: MemoryRepository;
let root: Descriptor;

beforeEach(async () => {
  world = newWorld();
  const source = world.registries.repository(FROM.registry, FROM.repository);
  destination = world.registries.repository(TO.registry, TO.repository);
  const graph = await pushMultiPlatform(source, SOURCE.tag);
  await pushArtifact(source, 'application/x-signature', { subject: graph.amd64 });
  await pushArtifact(source, 'application/x-scratch', { subject: graph.root });
  root = await source.resolve(SOURCE.tag);
  const job = { source: `${REGISTRY}/samples/app:v1`, destination: `${TO.registry}/mirror/app:v2` };
  await openJobRun(world, { operation: 'copy', ...job }, runId);
});

async function planned() {
  const input = { runId, source: FROM, root: root.digest, recursive: true };
  const plan = await planCopyStep(
    world,
    { ...input, excludeArtifactTypes: ['application/x-scratch'], destination: TO },
    newCall(),
  );
  if (plan.state !== 'planned') throw new Error(plan.state);
  return plan;
}

async function finish(plan: Awaited<ReturnType<typeof planned>>, receipt = true): Promise<unknown> {
  await verifyArrivalStep(world, { runId, plan: plan.plan, source: FROM, destination: TO, receipt }, newCall());
  const copied = { source: FROM, plan: plan.plan, ...(plan.parts && { parts: plan.parts }) };
  await tagCopyStep(world, { runId, root: plan.root, destination: { ...TO, tag: 'v2' }, copied }, newCall());
  const { output } = await runOf(world, runId);
  return output?.kind === 'inline' ? output.value : output;
}

/** As sets: what is copied at the same time has an order of chance. */
function digests({ copied, existed, mounted }: CopyReport): string[][] {
  return [copied, existed, mounted].map((nodes) => nodes.map(({ digest }) => digest).sort());
}

describe('a job’s copy has the receipt to show that the command prints', () => {
  test('in one activity', async () => {
    const plan = await planned();
    await copyGraphStep(world, { runId, plan: plan.plan, source: FROM, destination: TO, receipt: true }, newCall());
    const receipt = receiptSchema.parse(await finish(plan));
    const source = world.registries.repository(FROM.registry, FROM.repository);
    const there = world.registries.repository('third.azurecr.io', TO.repository);
    const own = await copyArtifact(source, 'v1', there, {
      recursive: true,
      tags: ['v2'],
      excludeArtifactTypes: ['application/x-scratch'],
    });
    expect(digests(receipt.report)).toEqual(digests(own.report));
    const { report: _ours, ...rest } = receipt;
    const { report: _theirs, ...others } = own;
    expect(rest).toEqual({ ...others, source: `${REGISTRY}/samples/app`, destination: `${TO.registry}/mirror/app` });
    expect(receipt.report.movedBytes).toBe(own.report.movedBytes);
    expect(receipt.report.copied.toSorted((a, b) => a.digest.localeCompare(b.digest))).toEqual(
      own.report.copied.toSorted((a, b) => a.digest.localeCompare(b.digest)),
    );
  });

  test('that broke off, and was done again: what both have moved', async () => {
    const plan = await planned();
    const copy = () =>
      copyGraphStep(world, { runId, plan: plan.plan, source: FROM, destination: TO, receipt: true }, newCall());
    destination.failNth('pushManifest', 2, new Error('broken'));
    await expect(copy()).rejects.toThrow('broken');
    const again = await copy();
    const { report } = receiptSchema.parse(await finish(plan));
    // What was on its way when it broke off may have arrived all the same.
    expect(report.copied.length + report.existed.length).toBe(plan.manifests + plan.blobs);
    expect(report.copied.length).toBeGreaterThan(again.copied);
  });

  test('in parts', async () => {
    world.copyParts = { ...world.copyParts, nodes: 3 };
    const plan = await planned();
    const { folder, waves } = plan.parts ?? { folder: '', waves: [] };
    expect(waves.length).toBeGreaterThan(1);
    for (const [wave, count] of waves.entries()) {
      for (let index = 0; index < count; index += 1) {
        const part = partName(folder, wave, index);
        const input = { runId, part, label: '', source: FROM, destination: TO, receipt: true };
        await copyPartStep(world, input, newCall());
      }
    }
    const { report, leftOut } = receiptSchema.parse(await finish(plan));
    expect(report.copied).toHaveLength(plan.manifests + plan.blobs);
    expect(new Set(report.copied.map(({ digest }) => digest)).size).toBe(plan.manifests + plan.blobs);
    expect(leftOut).toMatchObject([{ artifactType: 'application/x-scratch', reason: 'excluded' }]);
  });

  test('none where a step was done before there were receipts, and none of a promotion', async () => {
    const plan = await planned();
    await copyGraphStep(world, { runId, plan: plan.plan, source: FROM, destination: TO }, newCall());
    expect([...world.documents.kept.keys()]).toEqual([`documents/plans/${runId}.json`]);
    expect(await finish(plan)).toBeUndefined();
    expect(await finish(plan, false)).toBeUndefined();
    expect(destination.tags.get('v2')).toBe(root.digest);
  });
});
