import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { copyGraphStep, verifyArrivalStep } from '../../../src/transfer/copy-graph.js';
import { planCopyStep } from '../../../src/transfer/plan-copy.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { breakEverywhere } from '../../support/breaking.js';
import { pushArtifact, pushImage, pushMultiPlatform } from '../../support/images.js';
import { REGISTRY, SOURCE, newCall, newWorld, notFound, type World } from '../../support/world.js';

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

async function plan(in_ = world, more: { recursive?: boolean; excludeArtifactTypes?: string[]; tag?: string } = {}) {
  const { digest } = await in_.registries.repository(REGISTRY, SOURCE.repository).resolve(SOURCE.tag);
  const input = {
    runId: 'r1',
    source: FROM,
    root: digest,
    recursive: true,
    excludeArtifactTypes: ['application/x-scratch'],
  };
  return planCopyStep(in_, { ...input, ...more }, newCall());
}
const copy = (ports = world, to = TO) =>
  copyGraphStep(ports, { runId: 'r1', plan: 'plans/r1.json', source: FROM, destination: to }, newCall());
const verify = (ports = world) =>
  verifyArrivalStep(ports, { runId: 'r1', plan: 'plans/r1.json', source: FROM, destination: TO }, newCall());

describe('the plan', () => {
  test('has the graph, referrers and all but what the rule leaves out, and is kept as a document', async () => {
    expect(await plan()).toEqual({
      state: 'planned',
      plan: 'plans/r1.json',
      root: { mediaType: root.mediaType, digest: root.digest, size: root.size },
      // Index, two images, attestation, report, the report's signature.
      manifests: 6,
      blobs: expect.any(Number),
      bytes: expect.any(Number),
    });
    const kept = JSON.parse(
      Buffer.from(world.documents.kept.get('documents/plans/r1.json') ?? '').toString(),
    ) as object;
    expect(kept).toMatchObject({ version: 1, root: { digest: root.digest } });
  });

  test('without referrers where that is asked', async () => {
    expect(await plan(world, { recursive: false })).toMatchObject({ manifests: 4 });
  });

  test('is not made where the tag has moved on, or is gone', async () => {
    const { digest } = root;
    const stale = {
      runId: 'r1',
      source: FROM,
      root: digest,
      recursive: true,
      excludeArtifactTypes: [],
      tag: SOURCE.tag,
    };
    await pushImage(source, { tag: SOURCE.tag });
    expect(await planCopyStep(world, stale, newCall())).toEqual({ state: 'superseded' });
    source.tags.delete(SOURCE.tag);
    await expect(planCopyStep(world, stale, newCall())).rejects.toMatchObject({ code: 'SOURCE_GONE' });
    expect(world.documents.kept.size).toBe(0);
  });

  test('of a root that is not there is an error', async () => {
    const input = { runId: 'r1', source: FROM, root: 'v9', recursive: true, excludeArtifactTypes: [] };
    await expect(planCopyStep(world, input, newCall())).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
  });

  test('of what must have a digest is not made of anything else', async () => {
    const input = { runId: 'r1', source: FROM, root: 'v1', recursive: false, excludeArtifactTypes: [] };
    const other = `sha256:${'0'.repeat(64)}` as const;
    await expect(planCopyStep(world, { ...input, digest: other }, newCall())).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    expect(world.documents.kept.size).toBe(0);
    const { digest } = root;
    expect(await planCopyStep(world, { ...input, digest }, newCall())).toMatchObject({ state: 'planned' });
  });

  test('waits two minutes for a referrer that is listed and not there, and goes on without it', async () => {
    const late = await pushArtifact(source, 'application/x-late', { subject: root });
    const fetch = source.fetchManifest.bind(source);
    source.fetchManifest = (wanted, options) => {
      const digest = typeof wanted === 'string' ? wanted : wanted.digest;
      return digest === late.digest ? Promise.reject(notFound('MANIFEST_UNKNOWN', digest)) : fetch(wanted, options);
    };
    const input = { runId: 'r1', source: FROM, root: root.digest, recursive: true, excludeArtifactTypes: [] };
    const began = world.nowMs;
    const after = (waitedMs: number) => {
      world.nowMs = began + waitedMs;
      return planCopyStep(world, input, { ...newCall(), waitedMs });
    };
    for (const waitedMs of [0, 119_000]) {
      await expect(after(waitedMs)).rejects.toMatchObject({ code: 'REFERRER_UNKNOWN', transient: true });
    }
    const without = await after(120_000);
    source.fetchManifest = fetch;
    const whole = await after(0);
    if (without.state !== 'planned' || whole.state !== 'planned') throw new Error('superseded');
    expect(whole.manifests - without.manifests).toBe(1);
  });

  test('that is not kept any more, or that another version wrote, is an error with a code', async () => {
    await expect(copy()).rejects.toMatchObject({ code: 'PLAN_MISSING' });
    await world.documents.put('documents', 'plans/r1.json', Buffer.from('{"version":0}'));
    await expect(copy()).rejects.toMatchObject({ code: 'PLAN_INVALID' });
  });
});

describe('the copy', () => {
  beforeEach(async () => {
    await plan();
  });

  test('in one registry blobs are mounted, and nothing is tagged', async () => {
    const counts = await copy();
    expect(counts).toMatchObject({ copied: 6, existed: 0 });
    expect(counts.mounted).toBeGreaterThan(0);
    expect(destination.count('pushBlob')).toBe(0);
    expect(destination.tags.size).toBe(0);
    expect((await destination.fetchManifest(root.digest)).descriptor.digest).toBe(root.digest);
  });

  test('between two registries blobs are streamed', async () => {
    const counts = await copy(world, { registry: 'other.azurecr.io', repository: 'app' });
    expect(counts.mounted).toBe(0);
    const there = world.registries.repository('other.azurecr.io', 'app');
    expect(there.manifests.size).toBe(6);
    expect([...there.blobs.keys()].every((digest) => source.blobs.has(digest))).toBe(true);
  });

  test('twice: nothing is moved again', async () => {
    await copy();
    expect(await copy()).toMatchObject({ copied: 0, mounted: 0, bytes: 0 });
  });

  test('the destination is asked; what it lost is put again', async () => {
    destination.loseReferrers = 1;
    await copy();
    expect(await verify()).toEqual({ repaired: 1 });
    expect(await verify()).toEqual({ repaired: 0 });
  });
});

test('a crash at any call of plan, copy and verify, and again: all is there, once', async () => {
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
      await plan(ports);
      await copy(ports);
      await verify(ports);
    },
    async (broken, _given, where) => {
      const there = broken.registries.repository(REGISTRY, TO.repository);
      const from = broken.registries.repository(REGISTRY, SOURCE.repository);
      const wanted = [...from.manifests.values()].filter(
        ({ manifest }) => manifest.artifactType !== 'application/x-scratch',
      );
      expect([where, [...there.manifests.keys()].sort()]).toEqual([
        where,
        wanted.map(({ descriptor }) => descriptor.digest).sort(),
      ]);
    },
  );
  expect(calls).toBeGreaterThan(20);
});
