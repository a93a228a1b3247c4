import { beforeEach, expect, test } from '@jest/globals';
import { newRunId } from '../../../src/runs/run-id.js';
import { tendJobs } from '../../../src/steps/tend-jobs.js';
import { REGISTRY, newWorld, runOf, type World } from './world.js';

const MINUTE = 60_000;
let world: World;

beforeEach(() => {
  world = newWorld();
});

async function taken(state: 'pending' | 'running'): Promise<string> {
  const runId = newRunId(world.nowMs);
  const source = `${REGISTRY}/samples/app:v1`;
  await world.store.insertRun({
    id: runId,
    input: { kind: 'job', runId, job: { operation: 'promote', id: 'j1', source } },
    state,
    openedAt: world.now().toISOString(),
  });
  return runId;
}

test('a job whose message was lost is sent again after 15 minutes, and again after 15 more', async () => {
  const runId = await taken('pending');
  world.nowMs += 14 * MINUTE;
  expect(await tendJobs(world)).toEqual({ sentAgain: [], lost: [] });
  world.nowMs += MINUTE;
  const [first, second] = await Promise.all([tendJobs(world), tendJobs(world)]);
  // Two at once send one.
  expect([...first.sentAgain, ...second.sentAgain]).toEqual([runId]);
  expect(world.queues.sent).toEqual([
    {
      queue: 'jobs',
      text: JSON.stringify({ operation: 'promote', id: 'j1', source: `${REGISTRY}/samples/app:v1` }),
      delaySeconds: 0,
    },
  ]);
  world.nowMs += 14 * MINUTE;
  expect((await tendJobs(world)).sentAgain).toEqual([]);
  world.nowMs += MINUTE;
  expect((await tendJobs(world)).sentAgain).toEqual([runId]);
});

test.each(['pending', 'running'] as const)('one that the engine has (%s) is left alone', async (state) => {
  const runId = await taken(state);
  world.engine.setState(runId, state);
  world.nowMs += 60 * MINUTE;
  expect(await tendJobs(world)).toEqual({ sentAgain: [], lost: [] });
});

test.each([
  ['running', 'missing'],
  ['running', 'ended'],
  ['pending', 'ended'],
] as const)('%s, and its instance is %s: it has failed', async (state, instance) => {
  const runId = await taken(state);
  world.engine.setState(runId, instance);
  world.nowMs += 16 * MINUTE;
  expect(await tendJobs(world)).toEqual({ sentAgain: [], lost: [runId] });
  expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'failed', code: 'RUN_LOST' } });
  expect(await tendJobs(world)).toEqual({ sentAgain: [], lost: [] });
});

test('looks at the newest open runs only', async () => {
  let pages = 0;
  const { store } = newWorld();
  world.store.listRuns = async () => {
    pages += 1;
    return { ...(await store.listRuns()), next: 'more' };
  };
  await tendJobs(world);
  expect(pages).toBe(5);
});
