import { beforeEach, describe, expect, test } from '@jest/globals';
import { CopyError, PolicyError, PromoterError, type Descriptor, type HeldLease } from '../../../src/oci/index.js';
import type { Rule } from '../../../src/rules/rule.js';
import { cancelRun } from '../../../src/rows/cancellation.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import type { CopyRequest } from '../../../src/transfer/copy.js';
import type { Ports } from '../../../src/ports/ports.js';
import type { StepCall } from '../../../src/ports/step.js';
import { tagCopyStep } from '../../../src/operations/tag-copy.js';
import { tagDestinationStep } from '../../../src/transfer/tag.js';
import { destinationLease } from '../../../src/transfer/registry-access.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { breakEverywhere } from '../../support/breaking.js';
import { pushImage } from '../../support/images.js';
import {
  DESTINATION,
  REGISTRY,
  SOURCE,
  callOf,
  newCall,
  newWorld,
  openRun,
  refusal,
  runOf,
  tagAt,
  type World,
} from '../../support/world.js';

/** A rule without evidence of ours, if that does not matter. */
const bare = (changes: Record<string, unknown> = {}): Rule => rule({ sign: [], sbom: { formats: [] }, ...changes });

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let root: Descriptor;
let run: Awaited<ReturnType<typeof openRun>>;

beforeEach(async () => {
  world = newWorld(bare());
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, 'staging/samples/app');
  root = await pushImage(source, { tag: SOURCE.tag });
  await pushImage(destination);
  run = await openRun(world);
});

type Reply = Awaited<ReturnType<typeof tagDestinationStep>>;
const tagFor = async (of: { promotionId: string; runId: string }, call: Partial<StepCall> = {}, ports: Ports = world) =>
  tagDestinationStep(ports, { ...of, root }, { ...(await callOf(world, of.runId)), ...call });
const tag = (ports: Ports = world): Promise<Reply> => tagFor(run, {}, ports);
const ends = (state: 'tagged' | 'superseded' | 'gone'): unknown => ({ done: { state, reference: DESTINATION } });
/** What a job's copy to these tags is about. */
const copyTo = (...tags: string[]): CopyRequest => ({
  source: SOURCE,
  root: SOURCE.tag,
  recursive: true,
  excludeArtifactTypes: [],
  destination: { registry: REGISTRY, repository: 'staging/samples/app' },
  tags,
});
const tagCopy = (...tags: string[]): ReturnType<typeof tagCopyStep> =>
  tagCopyStep(world, copyTo(...tags), { runId: run.runId, root }, newCall());
const standing = (): string | undefined => tagAt(world, DESTINATION);

describe('the destination tag', () => {
  test('is written once', async () => {
    expect(await tag()).toEqual(ends('tagged'));
    expect(standing()).toBe(root.digest);
    const pushes = destination.count('pushManifest');
    expect(await tag()).toEqual(ends('tagged'));
    expect(destination.count('pushManifest')).toBe(pushes);
  });

  test('is written without a check of evidence under the lease, because that may take long', async () => {
    const signing = await openRun(
      world,
      rule({ name: 'signing', destination: { reference: `${REGISTRY}/to/app:v1` } }),
    );
    const to = world.registries.repository(REGISTRY, 'to/app');
    await pushImage(to);
    expect(await tagFor(signing)).toMatchObject({ done: { state: 'tagged' } });
    expect([to.count('listReferrers'), to.count('fetchManifest'), to.count('openBlob')]).toEqual([0, 1, 0]);
  });

  test('is not written if the source tag has moved or is gone', async () => {
    await pushImage(source, { tag: SOURCE.tag, content: 'two' });
    expect(await tag()).toEqual(ends('superseded'));
    source.tags.delete(SOURCE.tag);
    await expect(tag()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
    expect(world.lease.held.size).toBe(0);
    expect(standing()).toBeUndefined();
  });

  test.each([
    [405, 'REGISTRY_DISALLOWED_OPERATION'],
    [409, 'CONFLICT'],
  ])('that is locked (%i) is refused and not tried again', async (status, code) => {
    destination.fault = ({ method }) => {
      if (method === 'pushManifest') throw refusal(status, code, 'staging/samples/app');
    };
    await expect(tag()).rejects.toMatchObject({
      code: 'DESTINATION_LOCKED',
      transient: false,
      remedy: expect.stringContaining('Unlock'),
    });
    await expect(tag()).rejects.toBeInstanceOf(PolicyError);
    expect(standing()).toBeUndefined();
  });

  test('that may not be written is reported as locked only if the registry says so', async () => {
    const other = await pushImage(destination, { tag: SOURCE.tag, content: 'other' });
    const denied = refusal(403, 'DENIED', 'staging/samples/app');
    destination.fault = ({ method }) => {
      if (method === 'pushManifest') throw denied;
    };
    await expect(tag()).rejects.toBe(denied);
    destination.locked.add(SOURCE.tag);
    await expect(tag()).rejects.toMatchObject({ code: 'DESTINATION_LOCKED' });
    expect(standing()).toBe(other.digest);
  });

  test('is not written by a run that has ended, even if its frozen process resumes', async () => {
    destination.fault = async ({ method }) => {
      if (method === 'fetchManifest') await endRunRow(world, run.runId, { outcome: 'failed', code: 'RUN_LOST' });
    };
    await expect(tag()).rejects.toMatchObject({ code: 'RUN_ENDED' });
    await expect(tagCopy(SOURCE.tag)).rejects.toMatchObject({ code: 'RUN_ENDED' });
    expect(standing()).toBeUndefined();
  });

  test('is not written by a run that does not own the row', async () => {
    await world.store.insertRun({ ...(await runOf(world, run.runId)), id: 'another' });
    expect(await tagFor({ ...run, runId: 'another' })).toEqual(ends('gone'));
    expect(standing()).toBeUndefined();
  });

  test('is read and written again if a replica is stale or another writer has written it', async () => {
    const other = await pushImage(destination, { content: 'other' });
    destination.fault = async ({ method, what }, count) => {
      if (method === 'resolve' && what === SOURCE.tag && count === destination.count('resolve') && standing())
        destination.tags.set(SOURCE.tag, other.digest);
    };
    await expect(tag()).rejects.toMatchObject({ code: 'TAG_LOST', remedy: expect.any(String) });
    expect(world.lease.held.size).toBe(0);
    destination.fault = undefined;
    expect(await tag()).toEqual(ends('tagged'));
    expect(standing()).toBe(root.digest);
  });

  test('is written later if another process holds the lease', async () => {
    await world.lease.acquire(destinationLease(DESTINATION));
    expect(await tag()).toEqual({ retryAfterMs: expect.any(Number) });
    expect(standing()).toBeUndefined();
  });

  test('is not written if the lease is about to end', async () => {
    const short: Ports = {
      ...world,
      lease: {
        acquire: async (): Promise<HeldLease> => ({
          signal: new AbortController().signal,
          heldUntilMs: Date.now(),
          release: async () => {},
        }),
      },
    };
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = async (bytes, mediaType, options) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return push(bytes, mediaType, options);
    };
    await expect(tag(short)).rejects.toThrow();
    expect(standing()).toBeUndefined();
  });

  test('is written after a crash at any call', async () => {
    await breakEverywhere(
      async () => {
        const fresh = newWorld(bare());
        const subject = await pushImage(fresh.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
        await pushImage(fresh.registries.repository(REGISTRY, 'staging/samples/app'));
        return { world: fresh, given: { ...(await openRun(fresh)), root: subject } };
      },
      async (ports, given) => tagDestinationStep(ports, given, await callOf(ports, given.runId)),
      async (fresh, given, where) => {
        expect([where, tagAt(fresh, DESTINATION)]).toEqual([where, given.root.digest]);
      },
    );
  });
});

describe('a run that is stopped', () => {
  const stopped = new AbortController();
  const stop = (): Promise<unknown> => cancelRun(world, run.runId, { by: 'mia' });
  stopped.abort(new PromoterError('RUN_CANCELLED', ''));
  const tagStopped = () => tagFor(run, { signal: stopped.signal });
  const lasting = { signal: stopped.signal, finish: new AbortController().signal };
  const again = () => tagFor(run, lasting);

  test('right before the write leaves no tag', async () => {
    destination.fault = async ({ method }) => {
      if (method === 'fetchManifest') await stop();
    };
    await expect(tag()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    expect(destination.count('pushManifest')).toBe(1);
    expect(standing()).toBeUndefined();
    expect(world.lease.held.size).toBe(0);
  });

  test('reports its tag only if the tag is readable, has the digest, and belongs to the run', async () => {
    await expect(again()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    await tag();
    const pushes = destination.count('pushManifest');
    expect(await again()).toEqual(ends('tagged'));
    expect(destination.count('pushManifest')).toBe(pushes);
    destination.fault = () => {
      throw refusal(503, 'HTTP_503', 'staging/samples/app');
    };
    await expect(again()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    destination.fault = undefined;
    // Time is over as well.
    await expect(tagStopped()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    const other = bare({ name: 'other', source: { registry: REGISTRY, repositories: ['samples/app'] } });
    world.ruleList = [bare(), other];
    await expect(tagFor(await openRun(world, other), lasting)).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
  });

  test('reports the tag of a job in the same way', async () => {
    const copy = () => tagCopyStep(world, copyTo('x'), { runId: 'j1', root }, { ...newCall(), ...lasting });
    await expect(copy()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    destination.tags.set('x', root.digest);
    expect(await copy()).toEqual({ done: { digest: root.digest } });
  });
});

describe('the owner of a destination tag', () => {
  const other = bare({ name: 'other', source: { registry: REGISTRY, repositories: ['samples/app'] } });
  const tagAsOther = async (ports: Ports = world) => tagFor(await openRun(world, other), {}, ports);

  beforeEach(async () => {
    await tag();
  });

  test('with another rule makes the run refused, with both rules named', async () => {
    world.ruleList = [bare(), other];
    await expect(tagAsOther()).rejects.toMatchObject({
      code: 'DESTINATION_TAKEN',
      message: expect.stringMatching(/rule staging.*rule other/),
      remedy: expect.any(String),
    });
    expect(world.lease.held.size).toBe(0);
  });

  test.each([
    ['is gone', [other]],
    ['leads elsewhere now', [rule({ destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` } }), other]],
    ['no longer takes this source', [rule({ source: { registry: REGISTRY, repositories: ['x'] } }), other]],
    ['only observes now', [rule({ mode: 'observe' }), other]],
  ])('changes if its rule %s', async (_name, rules) => {
    world.ruleList = rules;
    expect(await tagAsOther()).toEqual(ends('tagged'));
    const owner = await world.store.claimDestination(DESTINATION, { rule: 'x', promotionId: 'x', source: 'x' });
    expect(owner.value).toMatchObject({ rule: 'other' });
  });

  test('is read again if it changes during the check', async () => {
    world.ruleList = [other];
    const contended: Ports = { ...world, store: { ...world.store, replaceClaim: async () => false } };
    await expect(tagAsOther(contended)).rejects.toMatchObject({
      code: 'ROW_CONTENDED',
      transient: true,
    });
    expect(await tagAsOther()).toEqual(ends('tagged'));
  });
});

describe('the tag of a job', () => {
  test('is written under the same lease as the tag of a promotion', async () => {
    expect(await tagCopy('copied')).toEqual({ done: { digest: root.digest } });
    expect(destination.tags.get('copied')).toBe(root.digest);
    await world.lease.acquire(destinationLease(`${REGISTRY}/staging/samples/app:copied`));
    expect(await tagCopy('copied')).toEqual({ retryAfterMs: expect.any(Number) });
  });

  test('may be absent, or may be one of several', async () => {
    const before = [...destination.tags.keys()];
    expect(await tagCopy()).toEqual({ done: { digest: root.digest } });
    expect([...destination.tags.keys()]).toEqual(before);
    expect(await tagCopy('copied', 'a', 'b')).toHaveProperty('done');
    for (const each of ['copied', 'a', 'b']) expect(destination.tags.get(each)).toBe(root.digest);
  });

  test('is tried again if another writer writes it at the same time', async () => {
    const other = await pushImage(destination, { content: 'other' });
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = async (bytes, mediaType, options) => {
      const pushed = await push(bytes, mediaType, options);
      destination.tags.set('copied', other.digest);
      return pushed;
    };
    await expect(tagCopy('copied')).rejects.toMatchObject({ code: 'TAG_LOST' });
    await expect(tagCopy('copied')).rejects.toBeInstanceOf(CopyError);
  });
});
