import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  COPY_LIMITS,
  RegistryError,
  TransportError,
  type CopyPlan,
  type Descriptor,
  type PromoterError,
} from '../../../src/oci/index.js';
import type { More } from '../../../src/transfer/contracts.js';
import { copyGraphStep, verifyArrivalStep } from '../../../src/transfer/copy-graph.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { planCopyStep } from '../../../src/transfer/plan-copy.js';
import type { StepCall } from '../../../src/ports/step.js';
import { isMore, STALE_ANSWERS_MS } from '../../../src/transfer/stretch.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { breaking } from '../../support/breaking.js';
import { pushArtifact, pushImage, pushMultiPlatform } from '../../support/images.js';
import { putInSync } from '../../support/in-sync.js';
import {
  DESTINATION,
  REGISTRY,
  SOURCE,
  newCall,
  newWorld,
  notFound,
  openRun,
  refusal,
  type World,
} from '../../support/world.js';
import { KEPT_ANSWERS_BYTES } from '../../../src/transfer/kept-answers.js';

// What asks for all of a graph, in stretches of three requests: the same comes of it, whatever happens to a stretch.

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const TO = { registry: REGISTRY, repository: 'staging/samples/app' };
const REFERRERS = 7;
/** A manifest, a list of referrers: for each. */
const STRETCH = 3;

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let root: Descriptor;

async function pushGraph(made: World): Promise<Descriptor> {
  const repository = made.registries.repository(REGISTRY, SOURCE.repository);
  const graph = await pushMultiPlatform(repository, SOURCE.tag);
  for (let index = 0; index < REFERRERS; index += 1) {
    const report = await pushArtifact(repository, `application/x-report-${index}`, { subject: graph.amd64 });
    if (index === 0) await pushArtifact(repository, 'application/x-signature', { subject: report });
  }
  await pushArtifact(repository, 'application/x-scratch', { subject: graph.root });
  await pushArtifact(repository, 'application/x-sig', { tag: `${graph.root.digest.replace(':', '-')}.sig` });
  return graph.root;
}

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, TO.repository);
  root = await pushGraph(world);
});

const small = (of: World, requests = STRETCH): World => ({ ...of, stretch: { ...of.stretch, requests } });

type Around<T> = (stretch: (call?: StepCall) => Promise<T | More>, index: number) => Promise<T | More>;

/** Calls a step until it has come to its end. @returns what came of it, and how many calls that took */
async function whole<T extends object>(
  step: (cursor: never, call: StepCall) => Promise<T>,
  around: Around<T> = (stretch) => stretch(),
): Promise<{ result: T; calls: number }> {
  let cursor: unknown;
  for (let calls = 1; calls < 200; calls += 1) {
    const from = cursor as never;
    const result = await around((call = newCall()) => step(from, call), calls - 1);
    if (!isMore(result)) return { result, calls };
    expect(JSON.stringify(result).length).toBeLessThan(200);
    ({ cursor } = result);
  }
  throw new Error('it does not come to its end');
}

const plan = (ports: World) => (cursor: never, call: StepCall) =>
  planCopyStep(
    ports,
    {
      runId: 'r1',
      source: FROM,
      root: root.digest,
      tag: SOURCE.tag,
      recursive: true,
      excludeArtifactTypes: ['application/x-scratch'],
      cursor,
    },
    call,
  );
const verify = (ports: World) => (cursor: never, call: StepCall) =>
  verifyArrivalStep(ports, { runId: 'r1', plan: 'plans/r1.json', source: FROM, destination: TO, cursor }, call);
const copy = () =>
  copyGraphStep(world, { runId: 'r1', plan: 'plans/r1.json', source: FROM, destination: TO }, newCall());

/** One of those that refer to an image of the index. */
async function anyReferrer(): Promise<string> {
  const { bytes } = await source.fetchManifest(root.digest);
  const index = JSON.parse(Buffer.from(bytes).toString()) as { manifests: Descriptor[] };
  const [report] = await source.listReferrers(index.manifests[0]?.digest ?? root.digest);
  source.calls.length = 0;
  if (report === undefined) throw new Error('no referrer');
  return report.digest;
}

function kept(in_ = world): CopyPlan {
  const found = JSON.parse(Buffer.from(in_.documents.kept.get('documents/plans/r1.json') ?? '').toString()) as CopyPlan;
  return { ...found, leftOut: found.leftOut.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)) };
}
/** The plan that is made in one stretch, and what it asked the source for. */
async function planned(): Promise<{ plan: CopyPlan; asked: string[] }> {
  source.calls.length = 0;
  const { calls } = await whole(plan(world));
  expect(calls).toBe(1);
  const names = ['documents/plans/r1.json', 'documents/plans/r1/left-behind.json'];
  expect([...world.documents.kept.keys()]).toEqual(names);
  const found = { plan: kept(), asked: asked() };
  world.documents = newWorld().documents;
  source.calls.length = 0;
  return found;
}
/** What the source was asked for, the tag of the run apart. */
const asked = (): string[] =>
  source.calls
    .map(({ method, what }) => `${method} ${what}`)
    .filter((each) => each !== `resolve ${SOURCE.tag}` && each !== `resolve ${root.digest}`);

describe('a plan in stretches', () => {
  test('is the plan that is made in one, and asks for nothing twice', async () => {
    const once = await planned();
    const { calls } = await whole(plan(small(world)));
    expect(kept()).toEqual(once.plan);
    expect(asked().toSorted()).toEqual(once.asked.toSorted());
    expect(calls).toBe(Math.ceil(once.asked.length / STRETCH));
  });

  test('each stretch done twice', async () => {
    const once = await planned();
    await whole(plan(small(world)), async (stretch) => {
      await stretch();
      return stretch();
    });
    expect(kept()).toEqual(once.plan);
  });

  test('a stretch that comes late, when the next has gone on, spoils nothing', async () => {
    const once = await planned();
    let before: (() => Promise<unknown>) | undefined;
    await whole(plan(small(world)), async (stretch) => {
      const result = await stretch();
      await before?.();
      before = () => stretch();
      return result;
    });
    expect(kept()).toEqual(once.plan);
  });

  test.each(['before', 'after'] as const)(
    'killed %s any call of a port: costs that stretch, and no more',
    async (when) => {
      const once = await planned();
      for (let nth = 1; nth <= 9; nth += 2) {
        source.calls.length = 0;
        const { calls } = await whole(plan(small(world)), async (stretch, index) => {
          if (index !== 2) return stretch();
          const { cursor } = { cursor: { stretch: index, since: 0 } };
          const broken = plan(small(breaking(world, nth, when).ports));
          await expect(broken(cursor as never, newCall())).rejects.toThrow('killed');
          return stretch();
        });
        expect(kept()).toEqual(once.plan);
        expect(asked().length).toBeLessThanOrEqual(once.asked.length + STRETCH);
        expect(calls).toBeLessThanOrEqual(Math.ceil(once.asked.length / STRETCH));
        world.documents = newWorld().documents;
      }
    },
  );

  test('what was found out before a registry was down is not asked for again', async () => {
    const once = await planned();
    const down = new TransportError('CONNECT_FAILED', 'down');
    const ports = small(world, 8);
    let failed = 0;
    await whole(plan(ports), async (stretch) => {
      source.failNth('fetchManifest', 3, down);
      const first = await stretch().catch((error: unknown) => error);
      if (!(first instanceof Error)) return first as More;
      expect(first).toBe(down);
      failed += 1;
      source.fault = undefined;
      return stretch({ ...newCall(), waitedMs: 1_000 });
    });
    expect(failed).toBeGreaterThan(1);
    expect(kept()).toEqual(once.plan);
    // Those alone that were under way.
    expect(asked().length).toBeLessThanOrEqual(once.asked.length + failed * 8);
  });

  test('time counts too, whatever took it', async () => {
    const once = await planned();
    const { calls } = await whole(plan({ ...world, stretch: { ...world.stretch, ms: 0 } }));
    expect(calls).toBe(once.asked.length);
    expect(kept()).toEqual(once.plan);
  });

  test('so do the bytes of what is kept', async () => {
    const once = await planned();
    const { calls } = await whole(plan({ ...world, stretch: { ...world.stretch, bytes: 1 } }));
    expect(calls).toBeGreaterThan(1);
    expect(kept()).toEqual(once.plan);
  });

  test('a referrer that is late is asked for again; after two minutes it goes on without', async () => {
    const once = await planned();
    const [late] = (await source.listReferrers(root.digest, { artifactType: 'application/x-scratch' })).map(
      ({ digest }) => digest,
    );
    const images = (await source.fetchManifest(root.digest)).bytes;
    const [amd64] = (JSON.parse(Buffer.from(images).toString()) as { manifests: Descriptor[] }).manifests;
    const [report] = await source.listReferrers(amd64?.digest ?? root.digest);
    expect(late).toBeDefined();
    const fetch = source.fetchManifest.bind(source);
    source.fetchManifest = (wanted, options) => {
      const digest = typeof wanted === 'string' ? wanted : wanted.digest;
      return digest === report?.digest ? Promise.reject(notFound('MANIFEST_UNKNOWN', digest)) : fetch(wanted, options);
    };
    const ports = small(world);
    const { result } = await whole(plan(ports), async (stretch) => {
      const first = await stretch({ ...newCall(), waitedMs: 0 }).catch((error: unknown) => error);
      if (!(first instanceof Error)) return first as More;
      expect(first).toMatchObject({ code: 'REFERRER_UNKNOWN', transient: true });
      source.fetchManifest = fetch;
      return stretch({ ...newCall(), waitedMs: 1_000 });
    });
    expect(result).toMatchObject({ state: 'planned' });
    expect(kept()).toEqual(once.plan);
  });

  test('one that stays away is left out, and so it is where tags can’t be listed', async () => {
    const graph = JSON.parse(Buffer.from((await source.fetchManifest(root.digest)).bytes).toString()) as {
      manifests: Descriptor[];
    };
    const [report] = await source.listReferrers(graph.manifests[0]?.digest ?? root.digest);
    source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === report?.digest) throw notFound('MANIFEST_UNKNOWN', what);
      if (method === 'listTags')
        throw new RegistryError('no', { method: 'GET', url: 'x', status: 403, registryCodes: ['DENIED'] });
    };
    await whole(plan(world));
    const once = kept();
    expect(once.leftOut.map(({ reason }) => reason).toSorted()).toEqual(['excluded', 'gone']);
    const { calls } = await whole(plan(small(world, 8)));
    expect(calls).toBeGreaterThan(4);
    expect(kept()).toEqual(once);
  });

  test('one that is never there costs two minutes, and no list but the one that names it', async () => {
    const late = await anyReferrer();
    source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === late) throw notFound('MANIFEST_UNKNOWN', what);
    };
    const began = world.nowMs;
    let tries = 0;
    await whole(plan(small(world)), async (stretch) => {
      for (let call: StepCall = { ...newCall(), waitedMs: 0 }; ; call = { ...newCall(), waitedMs: 30_000 }) {
        const result = await stretch(call).catch((error: unknown) => error);
        if (!(result instanceof Error)) return result as More;
        expect(result).toMatchObject({ code: 'REFERRER_UNKNOWN' });
        world.nowMs += 30_000;
        tries += 1;
      }
    });
    expect([tries, world.nowMs - began]).toEqual([4, 120_000]);
    expect(
      kept()
        .leftOut.map(({ reason }) => reason)
        .toSorted(),
    ).toEqual(['excluded', 'gone']);
    const often = new Map<string, number>();
    for (const each of asked()) often.set(each, (often.get(each) ?? 0) + 1);
    const again = [...often].flatMap(([each, times]) => (times > 1 ? [`${each.split(' ')[0]} ${times}`] : []));
    expect(again.toSorted()).toEqual([`fetchManifest ${tries + 1}`, `listReferrers ${tries + 1}`]);
  });

  test('the two minutes begin when one is found to be unknown, whatever was waited for before and between', async () => {
    const late = await anyReferrer();
    const down = new TransportError('CONNECT_FAILED', 'down');
    const call = (waitedMs: number): Promise<unknown> => {
      world.nowMs += 60_000;
      return plan(world)(undefined as never, { ...newCall(), waitedMs });
    };
    let isDown = true;
    source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === late) throw notFound('MANIFEST_UNKNOWN', what);
      if (isDown && method === 'listReferrers') throw down;
    };
    for (const waitedMs of [0, 60_000, 120_000]) await expect(call(waitedMs)).rejects.toBe(down);
    isDown = false;
    await expect(call(180_000)).rejects.toMatchObject({ code: 'REFERRER_UNKNOWN' });
    isDown = true;
    await expect(call(240_000)).rejects.toBe(down);
    isDown = false;
    expect(await call(300_000)).toMatchObject({ state: 'planned' });
  });

  test('one that was not there before a registry was down is asked for again', async () => {
    const once = await planned();
    const late = await anyReferrer();
    let unknown = 0;
    source.fault = async ({ method, what }) => {
      if (method !== 'fetchManifest') return;
      if (what === late) {
        unknown += 1;
        throw notFound('MANIFEST_UNKNOWN', what);
      }
      // Fails when that was answered.
      if (unknown > 0) throw new TransportError('CONNECT_FAILED', 'down');
    };
    await expect(plan(world)(undefined as never, { ...newCall(), waitedMs: 0 })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    });
    expect(unknown).toBe(1);
    source.fault = undefined;
    await plan(world)(undefined as never, { ...newCall(), waitedMs: 180_000 });
    expect(kept()).toEqual(once.plan);
  });

  test('an image that is gone is asked for at once in each try: none comes to be a stretch', async () => {
    const [amd64] = (
      JSON.parse(Buffer.from((await source.fetchManifest(root.digest)).bytes).toString()) as {
        manifests: Descriptor[];
      }
    ).manifests;
    source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === amd64?.digest) throw notFound('MANIFEST_UNKNOWN', what);
    };
    let cursor: unknown;
    const states: unknown[] = [];
    for (let tries = 0; tries < 8; tries += 1) {
      const call = { ...newCall(), waitedMs: tries * 1_000 };
      const result = await plan(small(world, 2))(cursor as never, call).catch((error: unknown) => error);
      if (result instanceof Error) states.push((result as PromoterError).code);
      else states.push((result as More).state);
      if (!(result instanceof Error)) ({ cursor } = result as More);
    }
    // What was under way when it failed is asked once.
    expect(states.slice(-6)).toEqual(Array.from({ length: 6 }, () => 'SOURCE_GONE'));
  });

  test('a tag that moves on in between: nothing is planned any more', async () => {
    const { result } = await whole(plan(small(world)), async (stretch, index) => {
      if (index === 2) await pushImage(source, { tag: SOURCE.tag, content: 'next' });
      return stretch();
    });
    expect(result).toEqual({ state: 'superseded' });
  });

  test('what is kept is believed only where it is what it says', async () => {
    const once = await planned();
    await whole(plan(small(world)), async (stretch, index) => {
      for (const [name, bytes] of world.documents.kept) {
        if (!name.endsWith('.jsonl')) continue;
        const lines = Buffer.from(bytes).toString().trim().split('\n');
        const spoilt = lines.map((line, at) =>
          at % 2 === 0 ? line.replace(/"bytes":"..../, '"bytes":"AAAA') : at % 3 === 0 ? '{"version":9}' : line,
        );
        if (index === 3)
          await world.documents.put('documents', name.slice('documents/'.length), Buffer.from(spoilt.join('\n')));
      }
      return stretch();
    });
    expect(kept()).toEqual(once.plan);
  });

  test('what would not fit into memory any more is refused', async () => {
    const first = await plan(small(world))(undefined as never, newCall());
    if (!isMore(first)) throw new Error('one stretch');
    const tooMuch = { length: KEPT_ANSWERS_BYTES + 1 } as Uint8Array;
    world.documents.get = async () => tooMuch;
    await expect(plan(small(world))(first.cursor as never, newCall())).rejects.toMatchObject({
      code: 'GRAPH_TOO_LARGE',
    });
  });

  test('types that a list lacks are looked up once, and their manifests are known then', async () => {
    const once = await planned();
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => {
      const listed = await list(digest, options);
      expect(options).toMatchObject({ artifactTypes: false });
      return listed.map(({ artifactType: _left, ...entry }) => entry);
    };
    await whole(plan(small(world)));
    expect(kept()).toEqual(once.plan);
    const fetched = asked().filter((each) => each.startsWith('fetchManifest'));
    expect(new Set(fetched).size).toBe(fetched.length);
  });
});

describe('a look in stretches', () => {
  const look = (ports: World, run: Awaited<ReturnType<typeof openRun>>) => (cursor: never, call: StepCall) =>
    observeStep(ports, { ...run, cursor }, call);

  test.each([
    ['nothing differs', async () => undefined],
    [
      'referrers came',
      async () => {
        for (let index = 0; index < 5; index += 1)
          await pushArtifact(source, `application/x-late-${index}`, { subject: root });
      },
    ],
    [
      'the destination lost some',
      async () => {
        const [first, second] = [...destination.manifests.values()].filter(({ manifest }) => manifest.subject);
        for (const lost of [first, second]) if (lost) await destination.deleteManifest(lost.descriptor.digest);
      },
    ],
  ])('%s: it finds what is found in one', async (_name, change) => {
    await putInSync(world, world.ruleList[0] ?? rule());
    await change();
    const run = await openRun(world);
    const once = await look(world, run)(undefined as never, newCall());
    let times = 0;
    const { result, calls } = await whole(look(small(world, 20), run), async (stretch) => {
      // Every other one twice.
      if ((times += 1) % 2 === 0) await stretch();
      return stretch();
    });
    expect(calls).toBeGreaterThan(2);
    expect(result).toEqual(once);
  });

  test('what was answered before a registry was away for long is asked for again', async () => {
    await putInSync(world, world.ruleList[0] ?? rule());
    const run = await openRun(world);
    const down = new TransportError('CONNECT_FAILED', 'down');
    const again = (waitedMs: number) => look(world, run)(undefined as never, { ...newCall(), waitedMs });
    // What is attached is read last.
    source.fault = ({ method, what }) => {
      if (method === 'resolve' && what.startsWith('sha256:')) throw down;
    };
    destination.calls.length = 0;
    await expect(again(0)).rejects.toBe(down);
    expect(destination.count('listReferrers')).toBeGreaterThan(0);
    world.nowMs += STALE_ANSWERS_MS - 60_000;
    await expect(again(STALE_ANSWERS_MS - 60_000)).rejects.toBe(down);
    for (const { descriptor, manifest } of destination.manifests.values())
      if (manifest.subject) await destination.deleteManifest(descriptor.digest);
    source.fault = undefined;
    world.nowMs += 120_000;
    expect(await again(STALE_ANSWERS_MS + 60_000)).toMatchObject({
      state: 'found',
      differences: [expect.stringMatching(/lacks \d+ manifests/)],
    });
  });

  test('a policy that forbids it says so at once', async () => {
    const run = await openRun(world);
    await world.store.claimDestination(DESTINATION, {
      rule: 'staging',
      promotionId: 'another',
      source: `${REGISTRY}/samples/app:v1`,
    });
    const { result } = await whole(look(small(world), run));
    expect(result).toMatchObject({ state: 'refused', code: 'DESTINATION_TAKEN' });
  });
});

describe('an arrival in stretches', () => {
  beforeEach(async () => {
    jest.replaceProperty(COPY_LIMITS, 'arrivalPausesMs', [
      0, 1, 1, 1, 1,
    ] as unknown as typeof COPY_LIMITS.arrivalPausesMs);
    await whole(plan(world));
  });
  afterEach(() => void jest.restoreAllMocks());
  const arrivals = () => destination.calls.length;

  test('all is there: each is asked for once', async () => {
    await copy();
    destination.calls.length = 0;
    await verify(world)(undefined as never, newCall());
    const once = arrivals();
    destination.calls.length = 0;
    const { result, calls } = await whole(verify(small(world)));
    expect(result).toEqual({ repaired: 0 });
    expect(calls).toBe(Math.ceil(once / STRETCH));
    expect(arrivals()).toBe(once);
  });

  test.each([1, 2])('what was lost is put again, and asked for anew (each stretch %i times)', async (times) => {
    destination.loseReferrers = 5;
    await copy();
    let repaired = 0;
    destination.calls.length = 0;
    const { result } = await whole(verify(small(world)), async (stretch) => {
      for (let time = 1; time < times; time += 1) await stretch();
      return stretch();
    });
    ({ repaired } = result as { repaired: number });
    if (times === 1) expect(repaired).toBe(5);
    expect(destination.count('pushManifest')).toBe(5);
    expect(await verify(world)(undefined as never, newCall())).toEqual({ repaired: 0 });
  });

  test('what is gone altogether is copied anew', async () => {
    await copy();
    const gone = [...destination.manifests.keys()].slice(-4);
    for (const digest of gone) destination.manifests.delete(digest);
    // Their blobs too, each of which is read while it is put.
    destination.blobs.clear();
    await whole(verify(small(world)));
    for (const digest of gone) expect(destination.manifests.has(digest)).toBe(true);
  });

  test('what is gone altogether, and is not listed when it was copied anew, is put again in the same round', async () => {
    await copy();
    const gone = [...destination.manifests.values()].filter(({ manifest }) => manifest.subject).slice(-3);
    for (const { descriptor } of gone) destination.manifests.delete(descriptor.digest);
    destination.loseReferrers = gone.length;
    jest.replaceProperty(COPY_LIMITS, 'arrivalPausesMs', [0] as unknown as typeof COPY_LIMITS.arrivalPausesMs);
    destination.calls.length = 0;
    await whole(verify(small(world)));
    expect(destination.count('pushManifest')).toBe(2 * gone.length);
  });

  test('a lock that came since the copy is a policy’s no', async () => {
    await copy();
    destination.manifests.delete([...destination.manifests.keys()].at(-1) ?? '');
    destination.fault = ({ method }) => {
      if (method === 'pushManifest') throw refusal(405, 'DENIED', TO.repository);
    };
    await expect(whole(verify(small(world)))).rejects.toMatchObject({ code: 'DESTINATION_LOCKED' });
  });

  test('what stays lost is an error, not a walk without end', async () => {
    await copy();
    for (const { digest } of (await destination.listReferrers(root.digest)).slice(0, 1))
      destination.unlisted.add(digest);
    const child = [...destination.manifests.values()].filter(({ manifest }) => manifest.subject);
    for (const { descriptor } of child.slice(0, 5)) destination.unlisted.add(descriptor.digest);
    destination.calls.length = 0;
    await expect(whole(verify(small(world)))).rejects.toMatchObject({ code: 'REFERRER_LOST' });
    // Five times each.
    expect(destination.count('pushManifest')).toBe(25);
  });

  test('it is asked for anew where it was waited for', async () => {
    await copy();
    const [lost] = [...destination.manifests.values()].filter(({ manifest }) => manifest.subject);
    destination.unlisted.add(lost?.descriptor.digest ?? '');
    const ports = small(world, 20);
    const { result } = await whole(verify(ports), async (stretch) => {
      const first = await stretch().catch((error: unknown) => error);
      if (!(first instanceof Error)) return first as More;
      expect(first).toMatchObject({ code: 'REFERRER_LOST' });
      destination.unlisted.clear();
      return stretch({ ...newCall(), waitedMs: 1_000 });
    });
    expect(result).toMatchObject({ repaired: expect.any(Number) });
  });
});

test('a registry that says no ends the step, with its error', async () => {
  const denied = new RegistryError('no', { method: 'GET', url: 'x', status: 403, registryCodes: ['DENIED'] });
  source.fault = ({ method }, count) => {
    if (method === 'listReferrers' && count > 4) throw denied;
  };
  await expect(whole(plan(small(world)))).rejects.toBe(denied);
});
