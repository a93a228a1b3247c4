import { beforeEach, describe, expect, test } from '@jest/globals';
import type { CopyPlan, Descriptor } from '../../../src/oci/index.js';
import { type CopyRequest, copyStep, verifyArrivalStep } from '../../../src/transfer/copy.js';
import { keepPlan } from '../../../src/transfer/run-documents.js';
import { planCopy } from '../../../src/transfer/plan-copy.js';
import type { StepReply } from '../../../src/ports/step.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { breakEverywhere } from '../../support/breaking.js';
import { pushArtifact, pushImage, pushMultiPlatform } from '../../support/images.js';
import { REGISTRY, SOURCE, callOf, newCall, newWorld, notFound, openRun, type World } from '../../support/world.js';

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const TO = { registry: REGISTRY, repository: 'staging/samples/app' };

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let root: Descriptor;

async function prepared(): Promise<World> {
  const made = newWorld();
  const repository = made.registries.repository(REGISTRY, SOURCE.repository);
  const graph = await pushMultiPlatform(repository, SOURCE.tag);
  const report = await pushArtifact(repository, 'application/x-report', { subject: graph.amd64 });
  await pushArtifact(repository, 'application/x-signature', { subject: report });
  await pushArtifact(repository, 'application/x-scratch', { subject: graph.root });
  return made;
}

beforeEach(async () => {
  world = await prepared();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, TO.repository);
  root = await source.resolve(SOURCE.tag);
});

function done<T>(reply: StepReply<T>): T {
  if (!('done' in reply)) throw new Error('it asks for later');
  return reply.done;
}
const request = (more: Partial<CopyRequest> = {}): CopyRequest => ({
  source: FROM,
  root: SOURCE.tag,
  recursive: true,
  excludeArtifactTypes: ['application/x-scratch'],
  destination: TO,
  ...more,
});
const plan = async (in_ = world, more: Partial<CopyRequest> = {}, call = newCall()) =>
  done(await planCopy(in_, request(more), { runId: 'r1' }, call));
async function made(more: Partial<CopyRequest> = {}, call = newCall()): Promise<CopyPlan> {
  const planned = await plan(world, more, call);
  if (planned === 'superseded') throw new Error(planned);
  return planned.plan;
}
const copied = async (ports = world, more: Partial<CopyRequest> = {}) =>
  done(await copyStep(ports, request(more), { runId: 'r1' }, newCall()));
async function copy(ports = world, to = TO) {
  const result = await copied(ports, { destination: to });
  if (result.state !== 'copied') throw new Error(result.state);
  return result;
}
const verify = async (ports = world) => done(await verifyArrivalStep(ports, request(), { runId: 'r1' }, newCall()));
/** The next run, of which nothing is kept. */
const forget = (): Promise<void> => world.documents.removeAll('documents', 'plans/r1/');

describe('the plan', () => {
  test('has the graph with all referrers that the rule does not exclude, and is stored as a document', async () => {
    const { mediaType, digest, size } = root;
    const planned = await made();
    expect(planned.root).toMatchObject({ mediaType, digest, size });
    // Index, two images, attestation, report, the report's signature.
    expect(planned.manifests).toHaveLength(6);
    const kept = JSON.parse(
      Buffer.from(world.documents.kept.get('documents/plans/r1/plan.json') ?? '').toString(),
    ) as object;
    expect(kept).toMatchObject({ version: 1, root: { digest } });
  });

  test('is made once per run', async () => {
    const planned = await made();
    await pushArtifact(source, 'application/x-late', { subject: root });
    expect(await made()).toEqual(planned);
  });

  test('that is stored first is used by two concurrent calls', async () => {
    const first = await made();
    const name = 'plans/r1/plan.json';
    const other = { ...first, leftOut: [] };
    expect(await keepPlan(world, name, other)).toEqual(first);
    await world.documents.put('documents', name, Buffer.from('{"version":0}'));
    expect(await keepPlan(world, name, other)).toEqual(other);
    expect(await made()).toEqual(other);
  });

  test('has no referrers if the request excludes them', async () => {
    expect((await made({ recursive: false })).manifests).toHaveLength(4);
  });

  test('is not made if the tag has moved or is missing', async () => {
    const { runId } = await openRun(world);
    const stale = { runId, root: root.digest };
    const call = await callOf(world, runId);
    const ask = () => planCopy(world, request({ tag: SOURCE.tag }), stale, call);
    await pushImage(source, { tag: SOURCE.tag });
    expect(await ask()).toEqual({ done: 'superseded' });
    expect(await copyStep(world, request({ tag: SOURCE.tag }), stale, call)).toEqual({
      done: { state: 'superseded' },
    });
    source.tags.delete(SOURCE.tag);
    await expect(ask()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
    expect(world.documents.kept.size).toBe(0);
  });

  test('fails for a missing root', async () => {
    await expect(plan(world, { root: 'v9' })).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
  });

  test('fails if the root does not have the requested digest', async () => {
    const other = `sha256:${'0'.repeat(64)}` as const;
    await expect(plan(world, { digest: other })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(world.documents.kept.size).toBe(0);
    expect((await made({ digest: root.digest })).root.digest).toBe(root.digest);
  });

  test('waits two minutes for a referrer that is listed but missing, and continues without it', async () => {
    const late = await pushArtifact(source, 'application/x-late', { subject: root });
    const fetch = source.fetchManifest.bind(source);
    source.fetchManifest = (asked, options) => {
      const digest = typeof asked === 'string' ? asked : asked.digest;
      return digest === late.digest ? Promise.reject(notFound('MANIFEST_UNKNOWN', digest)) : fetch(asked, options);
    };
    const began = world.nowMs;
    const after = (waitedMs: number): Promise<CopyPlan> => {
      world.nowMs = began + waitedMs;
      return made({}, { ...newCall(), waitedMs });
    };
    for (const waitedMs of [0, 119_000]) {
      await expect(after(waitedMs)).rejects.toMatchObject({ code: 'REFERRER_UNKNOWN', transient: true });
    }
    const without = await after(120_000);
    source.fetchManifest = fetch;
    await forget();
    const whole = await after(0);
    expect(whole.manifests.length - without.manifests.length).toBe(1);
  });

  test('that is missing, or was written by another version, is an error in the next steps', async () => {
    await expect(verify()).rejects.toMatchObject({ code: 'PLAN_MISSING' });
    await world.documents.put('documents', 'plans/r1/plan.json', Buffer.from('{"version":0}'));
    await expect(verify()).rejects.toMatchObject({ code: 'PLAN_MISSING' });
    // A copy plans anew.
    await copy();
    expect(await verify()).toEqual({ repaired: 0 });
  });
});

describe('the copy', () => {
  test('mounts blobs within one registry, and sets no tag', async () => {
    const counts = await copy();
    expect(counts).toMatchObject({ copied: 6, existed: 0 });
    expect(counts.mounted).toBeGreaterThan(0);
    expect(destination.count('pushBlob')).toBe(0);
    expect(destination.tags.size).toBe(0);
    expect((await destination.fetchManifest(root.digest)).descriptor.digest).toBe(root.digest);
  });

  test('streams blobs between two registries', async () => {
    const counts = await copy(world, { registry: 'other.azurecr.io', repository: 'app' });
    expect(counts.mounted).toBe(0);
    const there = world.registries.repository('other.azurecr.io', 'app');
    expect(there.manifests.size).toBe(6);
    expect([...there.blobs.keys()].every((digest) => source.blobs.has(digest))).toBe(true);
  });

  test('stops at its next call if the tag moves', async () => {
    const { digest } = root;
    const { runId } = await openRun(world);
    const call = await callOf(world, runId);
    const bounds = { ...world.callBounds, requests: 5 };
    const ask = () =>
      copyStep({ ...world, callBounds: bounds }, request({ tag: SOURCE.tag }), { runId, root: digest }, call);
    while (destination.manifests.size === 0) expect(await ask()).toEqual({ retryAfterMs: 0 });
    await pushImage(source, { tag: SOURCE.tag, content: 'next' });
    expect(await ask()).toEqual({ done: { state: 'superseded' } });
    expect(destination.manifests.has(digest)).toBe(false);
  });

  test('copies nothing again if it is repeated', async () => {
    await copy();
    await forget();
    destination.calls.length = 0;
    expect(await copy()).toMatchObject({ copied: 0, mounted: 0, bytes: 0 });
    expect(destination.calls.map(({ method }) => method)).not.toContain('pushManifest');
  });

  test('checks the destination, and pushes lost content again', async () => {
    destination.loseReferrers = 1;
    await copy();
    expect(await verify()).toEqual({ repaired: 1 });
    await world.documents.removeAll('documents', 'plans/r1/verifyArrival/');
    expect(await verify()).toEqual({ repaired: 0 });
  });
});

test('after a crash at any call of copy and verify, everything has arrived once', async () => {
  const calls = await breakEverywhere(
    async () => {
      const made = newWorld();
      const repository = made.registries.repository(REGISTRY, SOURCE.repository);
      const subject = await pushImage(repository, { tag: SOURCE.tag });
      await pushArtifact(repository, 'application/x-report', { subject });
      await pushArtifact(repository, 'application/x-scratch', { subject });
      return { world: made, given: undefined };
    },
    async (ports) => {
      await copy(ports);
      await verify(ports);
    },
    async (broken, _given, where) => {
      const there = broken.registries.repository(REGISTRY, TO.repository);
      const from = broken.registries.repository(REGISTRY, SOURCE.repository);
      const generation = [...from.manifests.values()].filter(
        ({ manifest }) => manifest.artifactType !== 'application/x-scratch',
      );
      expect([where, [...there.manifests.keys()].sort()]).toEqual([
        where,
        generation.map(({ descriptor }) => descriptor.digest).sort(),
      ]);
    },
  );
  expect(calls).toBeGreaterThan(20);
});
