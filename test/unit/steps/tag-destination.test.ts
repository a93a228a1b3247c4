import { beforeEach, describe, expect, test } from '@jest/globals';
import { CopyError, PolicyError, PromoterError, type Descriptor, type HeldLease } from '../../../src/oci/index.js';
import { cancelRun } from '../../../src/runs/cancel-run.js';
import { endRunRow } from '../../../src/runs/end-run.js';
import type { Ports, StepReply } from '../../../src/steps/ports.js';
import { tagCopyStep, tagDestinationStep } from '../../../src/steps/tag-destination.js';
import { destinationLease } from '../../../src/steps/under-lease.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../promotion/rules.fixture.js';
import { breakEverywhere } from './breaking.js';
import { pushImage } from './images.js';
import { DESTINATION, REGISTRY, SOURCE, newCall, newWorld, openRun, refusal, tagAt, type World } from './world.js';

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let root: Descriptor;
let run: Awaited<ReturnType<typeof openRun>>;

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, 'staging/samples/app');
  root = await pushImage(source, { tag: SOURCE.tag });
  await pushImage(destination);
  run = await openRun(world);
});

const tag = (ports: Ports = world): Promise<StepReply<'tagged' | 'superseded' | 'gone'>> =>
  tagDestinationStep(ports, { ...run, root }, newCall());
const standing = (): string | undefined => tagAt(world, DESTINATION);

describe('the destination tag', () => {
  test('is written, and once', async () => {
    expect(await tag()).toEqual({ done: 'tagged' });
    expect(standing()).toBe(root.digest);
    const pushes = destination.count('pushManifest');
    expect(await tag()).toEqual({ done: 'tagged' });
    expect(destination.count('pushManifest')).toBe(pushes);
  });

  test('is not written where the source tag has moved on, or is gone', async () => {
    await pushImage(source, { tag: SOURCE.tag, content: 'two' });
    expect(await tag()).toEqual({ done: 'superseded' });
    source.tags.delete(SOURCE.tag);
    await expect(tag()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
    expect(world.lease.held.size).toBe(0);
    expect(standing()).toBeUndefined();
  });

  test.each([
    [405, 'REGISTRY_DISALLOWED_OPERATION'],
    [409, 'CONFLICT'],
  ])('that is locked (%i) is left alone: refused, not tried again', async (status, code) => {
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

  test('that may not be written is locked only where the registry says so', async () => {
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

  test('is not written by a run that has ended, promotion or job: a frozen process goes on where it was', async () => {
    destination.fault = async ({ method }) => {
      if (method === 'fetchManifest') await endRunRow(world, run.runId, { outcome: 'failed', code: 'RUN_LOST' });
    };
    await expect(tag()).rejects.toMatchObject({ code: 'RUN_ENDED' });
    const copy = { runId: run.runId, root, destination: { ...SOURCE, repository: 'staging/samples/app' } };
    await expect(tagCopyStep(world, copy, newCall())).rejects.toMatchObject({ code: 'RUN_ENDED' });
    expect(standing()).toBeUndefined();
  });

  test('is not written by a run whose row it is not', async () => {
    run.runId = 'another';
    expect(await tag()).toEqual({ done: 'gone' });
    expect(standing()).toBeUndefined();
  });

  test('that reads as it was, since another writes it or a replica is late: asked again, and written again', async () => {
    const other = await pushImage(destination, { content: 'other' });
    destination.fault = async ({ method, what }, count) => {
      if (method === 'resolve' && what === SOURCE.tag && count === destination.count('resolve') && standing())
        destination.tags.set(SOURCE.tag, other.digest);
    };
    await expect(tag()).rejects.toMatchObject({ code: 'TAG_LOST', remedy: expect.any(String) });
    expect(world.lease.held.size).toBe(0);
    destination.fault = undefined;
    expect(await tag()).toEqual({ done: 'tagged' });
    expect(standing()).toBe(root.digest);
  });

  test('is held by another: later', async () => {
    await world.lease.acquire(destinationLease(DESTINATION));
    expect(await tag()).toEqual({ later: expect.any(Number) });
    expect(standing()).toBeUndefined();
  });

  test('is not written when the lease is about to end', async () => {
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

  test('a crash at any call, and again: tagged', async () => {
    await breakEverywhere(
      async () => {
        const fresh = newWorld();
        const subject = await pushImage(fresh.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
        await pushImage(fresh.registries.repository(REGISTRY, 'staging/samples/app'));
        return { world: fresh, given: { ...(await openRun(fresh)), root: subject } };
      },
      (ports, given) => tagDestinationStep(ports, given, newCall()),
      async (fresh, given, where) => {
        expect([where, tagAt(fresh, DESTINATION)]).toEqual([where, given.root.digest]);
      },
    );
  });
});

describe('a run that is to stop', () => {
  const stopped = new AbortController();
  const stop = (): Promise<unknown> => cancelRun(world, run.runId, { by: 'mia' });
  stopped.abort(new PromoterError('RUN_CANCELLED', ''));
  const tagStopped = () => tagDestinationStep(world, { ...run, root }, newCall(stopped.signal));
  const lasting = { finish: new AbortController().signal };
  const again = () => tagDestinationStep(world, { ...run, root }, { ...newCall(stopped.signal), ...lasting });

  test('right before the write: there is none', async () => {
    destination.fault = async ({ method }) => {
      if (method === 'fetchManifest') await stop();
    };
    await expect(tag()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    expect(destination.count('pushManifest')).toBe(1);
    expect(standing()).toBeUndefined();
    expect(world.lease.held.size).toBe(0);
  });

  test('says that the tag is written only where it stands, can be seen, and is nobody else’s', async () => {
    await expect(again()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    await tag();
    const pushes = destination.count('pushManifest');
    expect(await again()).toEqual({ done: 'tagged' });
    expect(destination.count('pushManifest')).toBe(pushes);
    destination.fault = () => {
      throw refusal(503, 'HTTP_503', 'staging/samples/app');
    };
    await expect(again()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    destination.fault = undefined;
    // Time is over as well.
    await expect(tagStopped()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    const other = rule({ name: 'other', source: { registry: REGISTRY, repositories: ['samples/app'] } });
    world.ruleList = [rule(), other];
    const asOther = { ...(await openRun(world, other)), root };
    const taken = tagDestinationStep(world, asOther, { ...newCall(stopped.signal), ...lasting });
    await expect(taken).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
  });

  test('a job’s tag is looked at in the same way', async () => {
    const input = {
      runId: 'j1',
      root,
      destination: { registry: REGISTRY, repository: 'staging/samples/app', tag: 'x' },
    };
    const copy = () => tagCopyStep(world, input, { ...newCall(stopped.signal), ...lasting });
    await expect(copy()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    destination.tags.set('x', root.digest);
    expect(await copy()).toEqual({ done: { digest: root.digest } });
  });
});

describe('its owner', () => {
  const other = rule({ name: 'other', source: { registry: REGISTRY, repositories: ['samples/app'] } });
  const asOther = async () => ({ ...(await openRun(world, other)), root });

  beforeEach(async () => {
    await tag();
  });

  test('is another rule: refused, with both named', async () => {
    world.ruleList = [rule(), other];
    const taken = tagDestinationStep(world, await asOther(), newCall());
    await expect(taken).rejects.toMatchObject({
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
  ])('has a rule that %s: the tag changes hands', async (_name, rules) => {
    world.ruleList = rules;
    expect(await tagDestinationStep(world, await asOther(), newCall())).toEqual({ done: 'tagged' });
    const owner = await world.store.claimDestination(DESTINATION, { rule: 'x', promotionId: 'x', source: 'x' });
    expect(owner.value).toMatchObject({ rule: 'other' });
  });

  test('changes while it is looked at: tried again', async () => {
    world.ruleList = [other];
    const contended: Ports = { ...world, store: { ...world.store, replaceDestinationOwner: async () => false } };
    await expect(tagDestinationStep(contended, await asOther(), newCall())).rejects.toMatchObject({
      code: 'ROW_CONTENDED',
      transient: true,
    });
    expect(await tagDestinationStep(world, await asOther(), newCall())).toEqual({ done: 'tagged' });
  });
});

describe('a job’s tag', () => {
  const input = () => ({
    runId: run.runId,
    root,
    destination: { registry: REGISTRY, repository: 'staging/samples/app', tag: 'copied' },
  });

  test('is written under the same lease as a promotion’s', async () => {
    expect(await tagCopyStep(world, input(), newCall())).toEqual({ done: { digest: root.digest } });
    expect(destination.tags.get('copied')).toBe(root.digest);
    await world.lease.acquire(destinationLease(`${REGISTRY}/staging/samples/app:copied`));
    expect(await tagCopyStep(world, input(), newCall())).toEqual({ later: expect.any(Number) });
  });

  test('are several, or none', async () => {
    const place = { registry: REGISTRY, repository: 'staging/samples/app' };
    const before = [...destination.tags.keys()];
    const none = { runId: run.runId, root, destination: place, moreTags: [] };
    expect(await tagCopyStep(world, none, newCall())).toEqual({ done: { digest: root.digest } });
    expect([...destination.tags.keys()]).toEqual(before);
    expect(await tagCopyStep(world, { ...input(), moreTags: ['a', 'b'] }, newCall())).toHaveProperty('done');
    for (const tag of ['copied', 'a', 'b']) expect(destination.tags.get(tag)).toBe(root.digest);
  });

  test('that another writes at the same time is tried again', async () => {
    const other = await pushImage(destination, { content: 'other' });
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = async (bytes, mediaType, options) => {
      const pushed = await push(bytes, mediaType, options);
      destination.tags.set('copied', other.digest);
      return pushed;
    };
    await expect(tagCopyStep(world, input(), newCall())).rejects.toMatchObject({ code: 'TAG_LOST' });
    await expect(tagCopyStep(world, input(), newCall())).rejects.toBeInstanceOf(CopyError);
  });
});
