import { beforeEach, describe, expect, test } from '@jest/globals';
import { TransportError, type CopyReport, type Descriptor } from '../../../src/oci/index.js';
import { copyArtifact } from '../../../src/oras/index.js';
import { copyStep, type CopyRequest, verifyArrivalStep } from '../../../src/transfer/copy.js';
import { receiptSchema } from '../../../src/transfer/run-documents.js';
import type { StepReply } from '../../../src/ports/step.js';
import { tagCopyStep } from '../../../src/operations/tag-copy.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { breaking } from '../../support/breaking.js';
import { pushArtifact, pushMultiPlatform } from '../../support/images.js';
import { openJobRun } from '../../support/job-world.js';
import { REGISTRY, SOURCE, newCall, newWorld, runOf, type World } from '../../support/world.js';

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const runId = 'j1';
const TO = { registry: 'other.azurecr.io', repository: 'mirror/app' };

let world: World;
let destination: MemoryRepository;
let root: Descriptor;

async function prepare(): Promise<void> {
  world = newWorld();
  const source = world.registries.repository(FROM.registry, FROM.repository);
  destination = world.registries.repository(TO.registry, TO.repository);
  const graph = await pushMultiPlatform(source, SOURCE.tag);
  await pushArtifact(source, 'application/x-signature', { subject: graph.amd64 });
  await pushArtifact(source, 'application/x-scratch', { subject: graph.root });
  root = await source.resolve(SOURCE.tag);
  const job = { source: `${REGISTRY}/samples/app:v1`, destination: `${TO.registry}/mirror/app:v2` };
  await openJobRun(world, { operation: 'copy', ...job }, runId);
}
beforeEach(prepare);

const request = (receipt = true): CopyRequest => ({
  source: FROM,
  root: SOURCE.tag,
  recursive: true,
  excludeArtifactTypes: ['application/x-scratch'],
  destination: TO,
  tags: ['v2'],
  receipt,
});
const copy = (ports = world, receipt = true): Promise<StepReply<unknown>> =>
  copyStep(ports, request(receipt), { runId }, newCall());

/** @returns how many calls it took */
async function copyWhole(ports: World, around = (go: typeof copy) => go(ports)): Promise<number> {
  for (let calls = 1; calls < 100; calls += 1) if ('done' in (await around(copy))) return calls;
  throw new Error('it is never done');
}

/** Verifies and tags. @returns what the job has to show */
async function finish(receipt = true): Promise<unknown> {
  await verifyArrivalStep(world, request(receipt), { runId }, newCall());
  await tagCopyStep(world, request(receipt), { runId, root }, newCall());
  const { output } = await runOf(world, runId);
  return output?.kind === 'inline' ? output.value : output;
}

/** What the command prints for the same copy. */
function own() {
  const source = world.registries.repository(FROM.registry, FROM.repository);
  const there = world.registries.repository('third.azurecr.io', TO.repository);
  return copyArtifact(source, 'v1', there, {
    recursive: true,
    tags: ['v2'],
    excludeArtifactTypes: ['application/x-scratch'],
  });
}

/** As sets: what is copied at the same time has an order of chance. */
function digests({ copied, existed, mounted }: CopyReport): string[][] {
  return [copied, existed, mounted].map((nodes) => nodes.map(({ digest }) => digest).sort());
}
const nodes = ({ copied, existed, mounted }: CopyReport): string[] =>
  [...copied, ...existed, ...mounted].map(({ digest }) => digest).sort();

describe('the receipt of a copy job is the one that the command prints', () => {
  test('after one call', async () => {
    await copy();
    const receipt = receiptSchema.parse(await finish());
    const printed = await own();
    expect(digests(receipt.report)).toEqual(digests(printed.report));
    const { report: _ours, ...rest } = receipt;
    const { report: _theirs, ...others } = printed;
    expect(rest).toEqual({ ...others, source: `${REGISTRY}/samples/app`, destination: `${TO.registry}/mirror/app` });
    expect(receipt.report.movedBytes).toBe(printed.report.movedBytes);
    expect(receipt.report.copied.toSorted((a, b) => a.digest.localeCompare(b.digest))).toEqual(
      printed.report.copied.toSorted((a, b) => a.digest.localeCompare(b.digest)),
    );
  });

  test('after many calls, with each node and its bytes once', async () => {
    const calls = await copyWhole({ ...world, callBounds: { ...world.callBounds, requests: 3 } });
    expect(calls).toBeGreaterThan(5);
    const { report, leftOut } = receiptSchema.parse(await finish());
    const printed = await own();
    expect(digests(report)).toEqual(digests(printed.report));
    expect(report.movedBytes).toBe(printed.report.movedBytes);
    expect(leftOut).toMatchObject([{ artifactType: 'application/x-scratch', reason: 'excluded' }]);
  });

  test('after an interruption, with what was copied before', async () => {
    destination.failNth('pushManifest', 2, new TransportError('CONNECT_FAILED', 'down'));
    await expect(copy()).rejects.toThrow('down');
    destination.fault = undefined;
    await copy();
    const { report } = receiptSchema.parse(await finish());
    expect(digests(report)).toEqual(digests((await own()).report));
  });

  test('after a crash at any call of a port, with each node once', async () => {
    const expected = nodes((await own()).report);
    const counted = breaking(world, Number.POSITIVE_INFINITY, 'before');
    const prepared = async (): Promise<void> => {
      await prepare();
      world.callBounds = { ...world.callBounds, requests: 12 };
    };
    await prepared();
    await copyWhole(counted.ports);
    for (let nth = 1; nth <= counted.calls(); nth += 7) {
      await prepared();
      await expect(copyWhole(breaking(world, nth, 'after').ports)).rejects.toThrow('killed');
      await copyWhole(world);
      const { report } = receiptSchema.parse(await finish());
      expect([nth, nodes(report)]).toEqual([nth, expected]);
    }
  });

  test('after a lost answer, with what the first call has copied', async () => {
    await copy();
    await copy();
    const { report } = receiptSchema.parse(await finish());
    expect(digests(report)).toEqual(digests((await own()).report));
  });

  test('but a promotion has none', async () => {
    await copy(world, false);
    expect([...world.documents.kept.keys()].filter((name) => /copied|arrived/.test(name))).toEqual([]);
    expect(await finish(false)).toBeUndefined();
    expect(destination.tags.get('v2')).toBe(root.digest);
  });
});
