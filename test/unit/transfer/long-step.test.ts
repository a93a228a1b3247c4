import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { RegistryError, TransportError, type CopyPlan, type Descriptor, ARRIVAL } from '../../../src/oci/index.js';
import { copyStep, type CopyRequest, verifyArrivalStep } from '../../../src/transfer/copy.js';
import { KEPT_ANSWERS_BYTES } from '../../../src/transfer/checkpoint.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { planCopy } from '../../../src/transfer/plan-copy.js';
import type { StepCall, StepReply } from '../../../src/ports/step.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { breakEverywhere, breaking } from '../../support/breaking.js';
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
  rowOf,
  runOf,
  type World,
} from '../../support/world.js';

// Steps that ask for all of a graph, in calls of three requests: the same comes of it, whatever happens to a call.

const FROM = { registry: REGISTRY, repository: SOURCE.repository };
const TO = { registry: REGISTRY, repository: 'staging/samples/app' };
const REQUEST: CopyRequest = {
  source: FROM,
  root: SOURCE.tag,
  tag: SOURCE.tag,
  recursive: true,
  excludeArtifactTypes: ['application/x-scratch'],
  destination: TO,
};
const REFERRERS = 7;
/** A manifest, a list of referrers: for each. */
const REQUESTS = 3;
/** After so long without an answer, what may have changed is asked for again. */
const STALE_MS = 15 * 60_000;

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let root: Descriptor;
let run: RunRow;

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
  run = await runOf(world, (await openRun(world)).runId);
});

/** A call of a step of the promotion's run. */
const callNow = () => newCall(undefined, run);

const small = (of: World, requests = REQUESTS): World => ({ ...of, callBounds: { ...of.callBounds, requests } });

type Step<T> = (call: StepCall) => Promise<StepReply<T>>;
type Around<T> = (go: (call?: StepCall) => Promise<StepReply<T>>, index: number) => Promise<StepReply<T>>;

/** Calls a step until it is done. @returns what came of it, and how many calls that took */
async function whole<T>(step: Step<T>, around: Around<T> = (go) => go()): Promise<{ result: T; calls: number }> {
  for (let calls = 1; calls < 200; calls += 1) {
    const reply = await around((call = callNow()) => step(call), calls - 1);
    if ('done' in reply) return { result: reply.done, calls };
  }
  throw new Error('it is never done');
}

const plan =
  (ports: World): Step<CopyPlan | 'superseded'> =>
  async (call) => {
    const reply = await planCopy(ports, REQUEST, { runId: 'r1', root: root.digest }, call);
    if (!('done' in reply)) return reply;
    return { done: reply.done === 'superseded' ? reply.done : reply.done.plan };
  };
const verify = (ports: World) => (call: StepCall) => verifyArrivalStep(ports, REQUEST, { runId: 'r1' }, call);
const copying = (ports: World) => (call: StepCall) =>
  copyStep(ports, REQUEST, { runId: 'r1', root: root.digest }, call);
const copy = (): Promise<unknown> => whole(copying(world));

/** One of those that refer to an image of the index. */
async function anyReferrer(): Promise<string> {
  const { bytes } = await source.fetchManifest(root.digest);
  const index = JSON.parse(Buffer.from(bytes).toString()) as { manifests: Descriptor[] };
  const [report] = await source.listReferrers(index.manifests[0]?.digest ?? root.digest);
  source.calls.length = 0;
  if (report === undefined) throw new Error('no referrer');
  return report.digest;
}

const PLAN = 'documents/plans/r1/plan.json';
function kept(in_ = world): CopyPlan {
  const found = JSON.parse(Buffer.from(in_.documents.kept.get(PLAN) ?? '').toString()) as CopyPlan;
  return { ...found, leftOut: found.leftOut.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)) };
}
/** The plan that is made in one call, and what it asked the source for. */
async function planned(): Promise<{ plan: CopyPlan; asked: string[] }> {
  source.calls.length = 0;
  const { calls } = await whole(plan(world));
  expect(calls).toBe(1);
  const names = ['planCopy/checkpoint.json', 'plan.json'];
  expect([...world.documents.kept.keys()]).toEqual(names.map((name) => `documents/plans/r1/${name}`));
  const found = { plan: kept(), asked: asked() };
  forget();
  return found;
}
/** Forgets what a run has kept, and what was asked for. */
function forget(): void {
  world.documents = newWorld().documents;
  source.calls.length = 0;
}
/** What the source was asked for, the tag of the run apart. */
const asked = (): string[] =>
  source.calls
    .map(({ method, what }) => `${method} ${what}`)
    .filter((each) => each !== `resolve ${SOURCE.tag}` && each !== `resolve ${root.digest}`);

describe('a plan in calls of three requests', () => {
  test('equals the plan of one call, and repeats no request', async () => {
    const once = await planned();
    const { calls } = await whole(plan(small(world)));
    expect(kept()).toEqual(once.plan);
    expect(asked().toSorted()).toEqual(once.asked.toSorted());
    expect(calls).toBe(Math.ceil(once.asked.length / REQUESTS));
  });

  test('is the same if a call is repeated because its answer was lost', async () => {
    const once = await planned();
    await whole(plan(small(world)), async (go) => {
      await go();
      return go();
    });
    expect(kept()).toEqual(once.plan);
    expect(asked().toSorted()).toEqual(once.asked.toSorted());
    const { result } = await whole(plan(small(world)));
    expect(result).toMatchObject({ root: { digest: root.digest } });
    expect(asked()).toHaveLength(once.asked.length);
  });

  test('is not damaged by two concurrent calls, one of which stops', async () => {
    const once = await planned();
    let stopped = 0;
    const { result } = await whole(plan(small(world)), async (go) => {
      const [one, other] = await Promise.all([go(), go()]);
      for (const reply of [one, other]) if ('retryAfterMs' in reply && reply.retryAfterMs > 0) stopped += 1;
      return 'done' in one ? one : other;
    });
    expect(result).not.toBe('superseded');
    expect(kept()).toEqual(once.plan);
    expect(stopped).toBeGreaterThan(0);
  });

  test('is not damaged by a late call, which stops', async () => {
    const once = await planned();
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => (wake = resolve));
    let late: Promise<unknown> | undefined;
    await whole(plan(small(world)), async (go, index) => {
      if (index === 1) {
        // It sleeps in its first question for the graph, and wakes up when two others have gone on.
        source.fault = ({ method }) => {
          if (method === 'resolve') return undefined;
          source.fault = undefined;
          return asleep;
        };
        late = go();
        while (source.fault !== undefined) await new Promise((resolve) => setImmediate(resolve));
      }
      if (index === 3) {
        wake();
        expect(await late).toEqual({ retryAfterMs: 2_000 });
      }
      return go();
    });
    expect(kept()).toEqual(once.plan);
    expect(asked().length).toBeLessThanOrEqual(once.asked.length + REQUESTS);
  });

  test.each(['before', 'after'] as const)(
    'killed %s any call of a port: costs that call, and no more',
    async (when) => {
      const once = await planned();
      for (let nth = 1; nth <= 9; nth += 2) {
        forget();
        const { calls } = await whole(plan(small(world)), async (go, index) => {
          if (index !== 2) return go();
          const broken = plan(small(breaking(world, nth, when).ports));
          await expect(broken(callNow())).rejects.toThrow('killed');
          return go();
        });
        expect(kept()).toEqual(once.plan);
        expect(asked().length).toBeLessThanOrEqual(once.asked.length + REQUESTS);
        expect(calls).toBeLessThanOrEqual(Math.ceil(once.asked.length / REQUESTS));
      }
    },
  );

  test('repeats no request after a registry was down', async () => {
    const once = await planned();
    const down = new TransportError('CONNECT_FAILED', 'down');
    const ports = small(world, 8);
    let failed = 0;
    await whole(plan(ports), async (go) => {
      source.failNth('fetchManifest', 3, down);
      const first = await go().catch((error: unknown) => error);
      if (!(first instanceof Error)) return first as StepReply<never>;
      expect(first).toBe(down);
      failed += 1;
      source.fault = undefined;
      return go({ ...callNow(), waitedMs: 1_000 });
    });
    expect(failed).toBeGreaterThan(1);
    expect(kept()).toEqual(once.plan);
    // Those alone that were under way.
    expect(asked().length).toBeLessThanOrEqual(once.asked.length + failed * 8);
  });

  test('ends each call at its time limit', async () => {
    const once = await planned();
    const { calls } = await whole(plan({ ...world, callBounds: { ...world.callBounds, ms: 0 } }));
    expect(calls).toBe(once.asked.length);
    expect(kept()).toEqual(once.plan);
  });

  test('ends a call after its turn only if another step waits', async () => {
    const once = await planned();
    const turns = { ...world, callBounds: { ...world.callBounds, turnMs: 0 } };
    const waitedFor = await whole((call) => plan(turns)({ ...call, isWaitedFor: () => true }));
    expect(waitedFor.calls).toBe(once.asked.length);
    expect(kept()).toEqual(once.plan);
    await world.documents.removeAll('documents', 'plans/');
    expect((await whole((call) => plan(turns)({ ...call, isWaitedFor: () => false }))).calls).toBe(1);
  });

  test('ends a call at the limit of stored bytes', async () => {
    const once = await planned();
    const { calls } = await whole(plan({ ...world, callBounds: { ...world.callBounds, bytes: 1 } }));
    expect(calls).toBeGreaterThan(1);
    expect(kept()).toEqual(once.plan);
  });

  test('asks again for a late referrer, and continues without it after two minutes', async () => {
    const once = await planned();
    const [late] = (await source.listReferrers(root.digest, { artifactType: 'application/x-scratch' })).map(
      ({ digest }) => digest,
    );
    const images = (await source.fetchManifest(root.digest)).bytes;
    const [amd64] = (JSON.parse(Buffer.from(images).toString()) as { manifests: Descriptor[] }).manifests;
    const [report] = await source.listReferrers(amd64?.digest ?? root.digest);
    expect(late).toBeDefined();
    const fetch = source.fetchManifest.bind(source);
    source.fetchManifest = (asked, options) => {
      const digest = typeof asked === 'string' ? asked : asked.digest;
      return digest === report?.digest ? Promise.reject(notFound('MANIFEST_UNKNOWN', digest)) : fetch(asked, options);
    };
    const ports = small(world);
    const { result } = await whole(plan(ports), async (go) => {
      const first = await go({ ...callNow(), waitedMs: 0 }).catch((error: unknown) => error);
      if (!(first instanceof Error)) return first as StepReply<never>;
      expect(first).toMatchObject({ code: 'REFERRER_UNKNOWN', transient: true });
      source.fetchManifest = fetch;
      return go({ ...callNow(), waitedMs: 1_000 });
    });
    expect(result).not.toBe('superseded');
    expect(kept()).toEqual(once.plan);
  });

  test('leaves out a missing referrer, even if tags cannot be listed', async () => {
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
    forget();
    const { calls } = await whole(plan(small(world, 8)));
    expect(calls).toBeGreaterThan(4);
    expect(kept()).toEqual(once);
  });

  test('waits two minutes for a missing referrer, and reads only the list that names it again', async () => {
    const late = await anyReferrer();
    source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === late) throw notFound('MANIFEST_UNKNOWN', what);
    };
    const began = world.nowMs;
    let tries = 0;
    await whole(plan(small(world)), async (go) => {
      for (let call: StepCall = { ...callNow(), waitedMs: 0 }; ; call = { ...callNow(), waitedMs: 30_000 }) {
        const result = await go(call).catch((error: unknown) => error);
        if (!(result instanceof Error)) return result as StepReply<never>;
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

  test('starts the two minutes when a referrer is found missing, whatever it waited for before', async () => {
    const late = await anyReferrer();
    const down = new TransportError('CONNECT_FAILED', 'down');
    const call = (waitedMs: number): Promise<unknown> => {
      world.nowMs += 60_000;
      return plan(world)({ ...callNow(), waitedMs });
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
    expect(await call(300_000)).toMatchObject({ done: { root: { digest: root.digest } } });
  });

  test('asks again for a referrer that was missing before a registry was down', async () => {
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
    await expect(plan(world)({ ...callNow(), waitedMs: 0 })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    });
    expect(unknown).toBe(1);
    source.fault = undefined;
    await plan(world)({ ...callNow(), waitedMs: 180_000 });
    expect(kept()).toEqual(once.plan);
  });

  test('asks for a missing image in each call', async () => {
    const [amd64] = (
      JSON.parse(Buffer.from((await source.fetchManifest(root.digest)).bytes).toString()) as {
        manifests: Descriptor[];
      }
    ).manifests;
    let asks = 0;
    source.fault = ({ method, what }) => {
      if (method !== 'fetchManifest' || what !== amd64?.digest) return;
      asks += 1;
      throw notFound('MANIFEST_UNKNOWN', what);
    };
    const ports = small(world, 2);
    let failed = 0;
    for (let tries = 0; tries < 12; tries += 1) {
      const reply = await plan(ports)({ ...callNow(), waitedMs: tries * 1_000 }).catch((error: unknown) => error);
      if (!(reply instanceof Error)) continue;
      expect(reply).toMatchObject({ code: 'SOURCE_GONE' });
      failed += 1;
    }
    expect(failed).toBeGreaterThan(5);
    expect(asks).toBe(failed);
    source.fault = undefined;
    await whole(plan(ports));
    expect(kept().manifests.map(({ descriptor }) => descriptor.digest)).toContain(amd64?.digest);
  });

  test('stops if the tag moves meanwhile', async () => {
    const { result } = await whole(plan(small(world)), async (go, index) => {
      if (index === 2) await pushImage(source, { tag: SOURCE.tag, content: 'next' });
      return go();
    });
    expect(result).toBe('superseded');
  });

  test('uses only stored answers whose digest is right', async () => {
    const once = await planned();
    await whole(plan(small(world)), async (go, index) => {
      for (const [name, bytes] of world.documents.kept) {
        if (!name.endsWith('.jsonl')) continue;
        const lines = Buffer.from(bytes).toString().trim().split('\n');
        const spoilt = lines.map((line, at) =>
          at % 2 === 0 ? line.replace(/"bytes":"..../, '"bytes":"AAAA') : at % 3 === 0 ? '{"version":9}' : line,
        );
        if (index === 3)
          await world.documents.put('documents', name.slice('documents/'.length), Buffer.from(spoilt.join('\n')));
      }
      return go();
    });
    expect(kept()).toEqual(once.plan);
  });

  test('starts over if another version wrote the checkpoint, the answers and the plan', async () => {
    const once = await planned();
    for (const document of ['{"attempts":3,"pieces":7}', '{"stretch":2}', 'no JSON']) {
      forget();
      await whole(plan(small(world)), async (go, index) => {
        if (index === 2)
          await world.documents.put('documents', 'plans/r1/planCopy/checkpoint.json', Buffer.from(document));
        return go();
      });
      expect(kept()).toEqual(once.plan);
      await world.documents.put('documents', 'plans/r1/plan.json', Buffer.from(document));
      await whole(plan(small(world)));
      expect(kept()).toEqual(once.plan);
    }
  });

  test('is refused if it does not fit into memory', async () => {
    expect(await plan(small(world))(callNow())).toEqual({ retryAfterMs: 0 });
    const tooMuch = { length: KEPT_ANSWERS_BYTES + 1 } as Uint8Array;
    const get = world.documents.get.bind(world.documents);
    world.documents.get = async (container, name) => (name.endsWith('.jsonl') ? tooMuch : get(container, name));
    await expect(plan(small(world))(callNow())).rejects.toMatchObject({ code: 'GRAPH_TOO_LARGE' });
  });

  test('fetches types that a list lacks once, and then knows the manifests', async () => {
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

describe('an observe step in calls of fifteen requests', () => {
  const look = (ports: World, run: Awaited<ReturnType<typeof openRun>>) => async (call: StepCall) =>
    observeStep(ports, run, { ...call, run: await runOf(world, run.runId) });

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
    const { result: once } = await whole(look(world, run));
    const { result, calls } = await whole(look(small(world, 15), run), async (go, index) => {
      // Every other one twice.
      if (index % 2 === 1) await go();
      return go();
    });
    expect(calls).toBeGreaterThan(2);
    expect(result).toEqual(once);
  });

  test('does not answer a later trigger: the generation of the first call counts', async () => {
    await putInSync(world, world.ruleList[0] ?? rule());
    const run = await openRun(world);
    const { result } = await whole(look(small(world), run), async (go, index) => {
      if (index === 2) await openRun(world);
      return go();
    });
    const generation = (await world.store.getPromotion(run.promotionId))?.value.generation ?? 0;
    expect(result).toMatchObject({ state: 'found', generation: generation - 1 });
  });

  test('does not answer a later trigger even if the tag moves to a graph with a common image', async () => {
    await putInSync(world, world.ruleList[0] ?? rule());
    const run = await openRun(world);
    const { generation: first } = await rowOf(world, run.promotionId);
    const { bytes, descriptor } = await source.fetchManifest(root.digest);
    const text = JSON.stringify({ ...(JSON.parse(Buffer.from(bytes).toString()) as object), annotations: { a: 'b' } });
    const { result } = await whole(look(small(world), run), async (go, index) => {
      if (index === 6) {
        // What is attached now may be to an image whose referrers were listed before.
        await source.pushManifest(Buffer.from(text), descriptor.mediaType, { tag: SOURCE.tag });
        await openRun(world);
      }
      return go();
    });
    expect(result).toMatchObject({ state: 'found', generation: first });
    // If a later step dies, the run is closed with the generation of its own row.
    expect(await runOf(world, run.runId)).toMatchObject({ generation: first });
    expect((result as { root: Descriptor }).root.digest).not.toBe(root.digest);
  });

  test('repeats requests from before a long outage of a registry', async () => {
    await putInSync(world, world.ruleList[0] ?? rule());
    const run = await openRun(world);
    const down = new TransportError('CONNECT_FAILED', 'down');
    const again = (waitedMs: number) => look(world, run)({ ...callNow(), waitedMs });
    // What is attached is looked up last.
    destination.fault = ({ method, what }) => {
      if (method === 'resolve' && what.startsWith('sha256:')) throw down;
    };
    destination.calls.length = 0;
    await expect(again(0)).rejects.toMatchObject({ message: 'resolve at the destination: down' });
    expect(destination.count('listReferrers')).toBeGreaterThan(0);
    world.nowMs += STALE_MS - 60_000;
    await expect(again(STALE_MS - 60_000)).rejects.toMatchObject({ message: 'resolve at the destination: down' });
    for (const { descriptor, manifest } of destination.manifests.values())
      if (manifest.subject) await destination.deleteManifest(descriptor.digest);
    destination.fault = undefined;
    world.nowMs += 120_000;
    expect(await again(STALE_MS + 60_000)).toMatchObject({
      done: { state: 'found', differences: [expect.stringMatching(/lacks \d+ manifests/)] },
    });
  });

  test('reports a policy error at once', async () => {
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

describe('an arrival check in calls of three requests', () => {
  beforeEach(async () => {
    jest.replaceProperty(ARRIVAL, 'pausesMs', [0, 1, 1, 1, 1] as unknown as typeof ARRIVAL.pausesMs);
    await whole(plan(world));
  });
  afterEach(() => void jest.restoreAllMocks());
  const arrivals = () => destination.calls.length;

  test('asks for each manifest once if everything is there', async () => {
    await copy();
    destination.calls.length = 0;
    await whole(verify(world));
    const once = arrivals();
    destination.calls.length = 0;
    const { result, calls } = await whole(verify(small(world)));
    expect(result).toEqual({ repaired: 0 });
    expect(calls).toBe(Math.ceil(once / REQUESTS));
    expect(arrivals()).toBe(once);
  });

  test.each([1, 2])('pushes lost content again and checks it again (each call %i times)', async (times) => {
    destination.loseReferrers = 5;
    await copy();
    let repaired = 0;
    destination.calls.length = 0;
    const { result } = await whole(verify(small(world)), async (go) => {
      for (let time = 1; time < times; time += 1) await go();
      return go();
    });
    ({ repaired } = result);
    if (times === 1) expect(repaired).toBe(5);
    expect(destination.count('pushManifest')).toBe(5);
    await world.documents.removeAll('documents', 'plans/r1/verifyArrival/');
    expect((await whole(verify(world))).result).toEqual({ repaired: 0 });
  });

  test('copies content that is lost completely', async () => {
    await copy();
    const gone = [...destination.manifests.keys()].slice(-4);
    for (const digest of gone) destination.manifests.delete(digest);
    // Their blobs too, each of which is read while it is put.
    destination.blobs.clear();
    await whole(verify(small(world)));
    for (const digest of gone) expect(destination.manifests.has(digest)).toBe(true);
  });

  test('pushes a lost referrer again in the same round if it is not listed after the copy', async () => {
    await copy();
    const gone = [...destination.manifests.values()].filter(({ manifest }) => manifest.subject).slice(-3);
    for (const { descriptor } of gone) destination.manifests.delete(descriptor.digest);
    destination.loseReferrers = gone.length;
    jest.replaceProperty(ARRIVAL, 'pausesMs', [0] as unknown as typeof ARRIVAL.pausesMs);
    destination.calls.length = 0;
    await whole(verify(small(world)));
    expect(destination.count('pushManifest')).toBe(2 * gone.length);
  });

  test('is refused if the destination was locked after the copy', async () => {
    await copy();
    destination.manifests.delete([...destination.manifests.keys()].at(-1) ?? '');
    destination.fault = ({ method }) => {
      if (method === 'pushManifest') throw refusal(405, 'DENIED', TO.repository);
    };
    await expect(whole(verify(small(world)))).rejects.toMatchObject({ code: 'DESTINATION_LOCKED' });
  });

  test('fails for content that stays lost, and ends', async () => {
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

  test('asks again after a wait', async () => {
    await copy();
    const [lost] = [...destination.manifests.values()].filter(({ manifest }) => manifest.subject);
    destination.unlisted.add(lost?.descriptor.digest ?? '');
    const ports = small(world, 20);
    const { result } = await whole(verify(ports), async (go) => {
      const first = await go().catch((error: unknown) => error);
      if (!(first instanceof Error)) return first as StepReply<never>;
      expect(first).toMatchObject({ code: 'REFERRER_LOST' });
      destination.unlisted.clear();
      return go({ ...callNow(), waitedMs: 1_000 });
    });
    expect(result).toMatchObject({ repaired: expect.any(Number) });
  });
});

/** Copies in small calls; one of them is refused for a blob that is not there, and is called again. */
async function copyRefusedOnce(): Promise<void> {
  let refused = 0;
  await whole(copying(small(world)), async (go) => {
    const first = await go().catch((error: unknown) => error);
    if (!(first instanceof Error)) return first as StepReply<never>;
    expect(first).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN' });
    refused += 1;
    expect(refused).toBeLessThan(3);
    return go({ ...callNow(), waitedMs: 1_000 });
  });
  expect(refused).toBe(1);
}

test('content that the destination lost between two calls is copied again, even if its registry answers 400', async () => {
  let isLost = false;
  destination.fault = async ({ method, what }) => {
    if (method !== 'pushManifest') return;
    const { bytes } = await source.fetchManifest(what);
    const { layers = [], config } = JSON.parse(Buffer.from(bytes).toString()) as {
      layers?: Descriptor[];
      config?: Descriptor;
    };
    const blobs = [...layers, ...(config ? [config] : [])];
    if (!isLost) for (const { digest } of blobs) destination.blobs.delete(digest);
    isLost = true;
    if (blobs.some(({ digest }) => !destination.blobs.has(digest))) throw refusal(400, 'MANIFEST_BLOB_UNKNOWN');
  };
  await copyRefusedOnce();
  expect(destination.manifests.has(root.digest)).toBe(true);
});

test('a manifest that is deleted at the destination between two calls is pushed again', async () => {
  const { bytes } = await source.fetchManifest(root.digest);
  const [child] = (JSON.parse(Buffer.from(bytes).toString()) as { manifests: Descriptor[] }).manifests;
  if (child === undefined) throw new Error('no child');
  await whole((call) => copyStep(world, REQUEST, { runId: 'r0', root: root.digest }, call));
  // Another copy had brought all but the index.
  await destination.deleteManifest(root.digest);
  let isLost = false;
  destination.fault = ({ method, what }) => {
    if (method !== 'pushManifest' || what !== root.digest || isLost) return;
    destination.manifests.delete(child.digest);
    isLost = true;
  };
  await copyRefusedOnce();
  expect([root, child].map(({ digest }) => destination.manifests.has(digest))).toEqual([true, true]);
});

test('a refusal of the registry ends the step with its error', async () => {
  const denied = new RegistryError('no', { method: 'GET', url: 'x', status: 403, registryCodes: ['DENIED'] });
  source.fault = ({ method }, count) => {
    if (method === 'listReferrers' && count > 4) throw denied;
  };
  await expect(whole(plan(small(world)))).rejects.toBe(denied);
});

test('after a crash at any call of a port, the whole graph arrives', async () => {
  const calls = await breakEverywhere(
    async () => {
      const made = newWorld();
      const repository = made.registries.repository(REGISTRY, SOURCE.repository);
      const subject = await pushImage(repository, { tag: SOURCE.tag });
      await pushArtifact(repository, 'application/x-report', { subject });
      return { world: made, given: subject };
    },
    async (ports, { digest }) => {
      const input = { runId: 'r1', root: digest };
      await whole((call) => copyStep(small(ports), REQUEST, input, call));
      await whole((call) => verifyArrivalStep(small(ports), REQUEST, input, call));
    },
    async (broken, _given, where) => {
      const digests = (repository: string) => [...broken.registries.repository(REGISTRY, repository).manifests.keys()];
      expect([where, digests(TO.repository).toSorted()]).toEqual([where, digests(FROM.repository).toSorted()]);
    },
  );
  expect(calls).toBeGreaterThan(40);
}, 120_000);
