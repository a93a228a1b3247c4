import { beforeEach, describe, expect, test } from '@jest/globals';
import type { JobInput } from '../../../src/operations/job-schema.js';
import { PromoterError } from '../../../src/oci/index.js';
import { newRunId } from '../../../src/rows/open-run.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import { cancelRun } from '../../../src/rows/cancellation.js';
import { reconcileJobs } from '../../support/reconciled.js';
import { REGISTRY, SOURCE, newWorld, openRun, runOf, type World } from '../../support/world.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const LOST = { state: 'ended', result: { outcome: 'failed', code: 'RUN_LOST' } };
let world: World;

beforeEach(() => {
  world = newWorld();
});

const reference = `${REGISTRY}/samples/app:v1`;
const PROMOTE: JobInput = { operation: 'promote', id: 'j1', source: reference };
const TAG: JobInput = { operation: 'tag', id: 'j1', reference, tags: ['v2'] };
const SAFE: JobInput[] = [
  PROMOTE,
  { operation: 'copy', id: 'j1', source: reference, destination: `${REGISTRY}/mirror/app:v1`, recursive: false },
  { operation: 'resolve', id: 'j1', reference },
];

async function taken(state: 'pending' | 'running', job: JobInput = PROMOTE): Promise<string> {
  const runId = newRunId(world.nowMs);
  const openedAt = world.now().toISOString();
  await world.store.insertRun({ id: runId, input: { kind: 'job', runId, job }, state, openedAt });
  return runId;
}

/** What the job's first step does. */
async function begins(runId: string): Promise<void> {
  const { value, version } = (await world.store.getRun(runId)) ?? {};
  expect(await world.store.replaceRun({ ...(value as RunRow), state: 'running' }, version ?? '')).toBe(true);
}

const starts = () => world.engine.starts.map(({ id }) => id);

test('a lost job is found among 500 open promotions with their runs', async () => {
  const runId = await taken('running', TAG);
  world.nowMs += MINUTE;
  for (let count = 0; count < 500; count += 1) await openRun(world, undefined, { ...SOURCE, tag: `v${count}` });
  world.nowMs += 16 * MINUTE;
  expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [runId], problems: [] });
});

test('a lost job is found among 1,000 running jobs, oldest first', async () => {
  const orphans = [await taken('running', TAG)];
  for (let count = 0; count < 1_000; count += 1) {
    world.nowMs += 1;
    const runId = await taken('running', TAG);
    if (count % 300 === 299) orphans.push(runId);
    else world.engine.setState(runId, 'running');
  }
  world.nowMs += 16 * MINUTE;
  const lost: string[] = [];
  for (let tick = 0; tick < 4; tick += 1) lost.push(...(await reconcileJobs(world)).orphaned);
  expect(lost.toSorted()).toEqual(orphans.toSorted());
  expect(lost[0]).toBe(orphans[0]);
});

test('a quiet minute costs one request for jobs', async () => {
  const asked: string[] = [];
  const store = new Proxy(world.store, {
    get: (target, name, receiver): unknown => {
      asked.push(String(name));
      return Reflect.get(target, name, receiver);
    },
  });
  await openRun(world);
  await reconcileJobs({ ...world, store });
  expect(asked).toEqual(['listDueRuns']);
});

test('a job whose message was lost is started after 15 minutes, as one instance even if two ticks start it', async () => {
  const runId = await taken('pending');
  world.nowMs += 14 * MINUTE;
  expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [], problems: [] });
  world.nowMs += MINUTE;
  await Promise.all([reconcileJobs(world), reconcileJobs(world)]);
  expect(new Set(starts())).toEqual(new Set([runId]));
  expect(world.engine.starts[0]).toMatchObject({ orchestration: 'runJob', input: { runId } });
  expect(await runOf(world, runId)).toMatchObject({ state: 'pending' });
  // The engine has it now.
  expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [], problems: [] });
});

test.each(['pending', 'running'] as const)('a job whose instance is %s is left alone', async (state) => {
  const runId = await taken(state);
  world.engine.setState(runId, state);
  world.nowMs += 60 * MINUTE;
  expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [], problems: [] });
});

describe('an orphaned job', () => {
  describe.each(SAFE)('that is safe to repeat ($operation)', (job) => {
    test.each(['missing', 'ended'] as const)(
      'is started once more with a new instance id if its instance is %s, then fails',
      async (instance) => {
        const runId = await taken('running', job);
        world.engine.setState(runId, instance);
        world.nowMs += 2 * MINUTE;
        const [one, two] = await Promise.all([reconcileJobs(world), reconcileJobs(world)]);
        expect([...one.orphaned, ...two.orphaned]).toEqual([]);
        const [again = ''] = starts();
        expect(new Set(starts())).toEqual(new Set([again]));
        expect(again).not.toBe(runId);
        expect(world.engine.starts[0]).toMatchObject({ orchestration: 'runJob', input: { runId } });
        await begins(runId);
        world.engine.setState(again, instance);
        world.nowMs += 2 * MINUTE;
        expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [runId], problems: [] });
        expect(await runOf(world, runId)).toMatchObject(LOST);
        expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [], problems: [] });
        expect(new Set(starts())).toEqual(new Set([again]));
      },
    );
  });

  test('that writes fails if it had begun, because its writes must not be repeated', async () => {
    const runId = await taken('running', TAG);
    world.engine.setState(runId, 'ended');
    world.nowMs += 2 * MINUTE;
    expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [runId], problems: [] });
    expect(await runOf(world, runId)).toMatchObject(LOST);
    expect(starts()).toEqual([]);
  });

  test('that writes is started once more if its instance ended before the first step', async () => {
    const runId = await taken('pending', TAG);
    world.engine.setState(runId, 'ended');
    world.nowMs += 2 * MINUTE;
    expect(await reconcileJobs(world)).toMatchObject({ started: [runId], orphaned: [] });
    expect(starts()).toHaveLength(1);
    expect(starts()).not.toContain(runId);
  });

  test('is started by the next tick if the host died between the row and the engine', async () => {
    const runId = await taken('running');
    world.nowMs += 2 * MINUTE;
    const start = world.engine.start.bind(world.engine);
    world.engine.start = () => Promise.reject(new TypeError('the process died'));
    await expect(reconcileJobs(world)).rejects.toThrow('the process died');
    world.engine.start = start;
    world.nowMs += 2 * MINUTE;
    expect(await reconcileJobs(world)).toEqual({ started: [runId], orphaned: [], problems: [] });
    expect(starts()).toHaveLength(1);
  });

  test('ends as cancelled if the cancel request comes just before it is ended', async () => {
    const runId = await taken('running', TAG);
    world.nowMs += DAY;
    const { store } = world;
    const replaceRun: typeof store.replaceRun = async (row, version) => {
      if (row.state === 'ended') await cancelRun(world, runId, { by: 'somebody' });
      return store.replaceRun(row, version);
    };
    await reconcileJobs({ ...world, store: { ...store, replaceRun } });
    expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'cancelled' } });
  });

  test('with a cancel request ends as cancelled and is not started again', async () => {
    const runId = await taken('running');
    await cancelRun(world, runId, { by: 'somebody' });
    world.nowMs += 2 * MINUTE;
    expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [runId], problems: [] });
    expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'cancelled' } });
  });
});

describe('two days after the longest time of a job', () => {
  test.each([
    ['pending', 'pending'],
    ['pending', 'missing'],
    ['running', 'running'],
  ] as const)('it has failed, whatever the engine says: %s, %s', async (state, instance) => {
    const runId = await taken(state);
    world.engine.setState(runId, instance);
    world.nowMs += 3 * DAY - MINUTE;
    expect((await reconcileJobs(world)).orphaned).toEqual([]);
    world.nowMs += MINUTE;
    expect(await reconcileJobs(world)).toEqual({ started: [], orphaned: [runId], problems: [] });
    expect(await runOf(world, runId)).toMatchObject(LOST);
  });

  test('a job that was started again has the full time again', async () => {
    const runId = await taken('running');
    world.nowMs += 3 * DAY - MINUTE;
    expect((await reconcileJobs(world)).started).toEqual([runId]);
    const [again = ''] = starts();
    world.engine.setState(again, 'running');
    world.nowMs += 3 * DAY - MINUTE;
    expect((await reconcileJobs(world)).orphaned).toEqual([]);
    world.nowMs += MINUTE;
    expect((await reconcileJobs(world)).orphaned).toEqual([runId]);
  });
});

test('a job whose row cannot be read does not stop the others', async () => {
  const unreadable = await taken('running', TAG);
  world.nowMs += 1;
  const runId = await taken('running', TAG);
  world.nowMs += 2 * MINUTE;
  const getRun = world.store.getRun.bind(world.store);
  world.store.getRun = async (id) => {
    if (id === unreadable) throw new PromoterError('ROW_UNREADABLE', 'that row');
    return getRun(id);
  };
  expect(await reconcileJobs(world)).toEqual({
    started: [],
    orphaned: [runId],
    problems: [`runId=${unreadable}: ROW_UNREADABLE: that row`],
  });
});
