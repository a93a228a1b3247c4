import { beforeEach, expect, test } from '@jest/globals';
import { reconcilePromotion } from '../../../src/rows/reconcile.js';
import { InputError } from '../../../src/oci/index.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import { newRunId } from '../../../src/rows/open-run.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import { closeJobStep } from '../../../src/operations/close-job.js';
import { RESULT_EVENT_MS } from '../../../src/schedule/reconcile-runs.js';
import { sendUnsent } from '../../support/reconciled.js';
import { sendResultEvent } from '../../../src/promotions/close-run.js';
import { breakEverywhere } from '../../support/breaking.js';
import { REGISTRY, begin, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';

// One CloudEvent for each finished run that isn't `unchanged`.

let world: World;
beforeEach(() => {
  world = newWorld();
});
const events = (of = world): Record<string, unknown>[] =>
  of.queues.sent.map(({ text }) => JSON.parse(text) as Record<string, unknown>);

async function insertJob(of: World, changes: Partial<RunRow> = {}): Promise<string> {
  const runId = newRunId(of.nowMs);
  const job = { operation: 'tags', id: 'mine', reference: `${REGISTRY}/samples/app` } as const;
  const openedAt = of.now().toISOString();
  const trigger = { kind: 'queue', id: 'm1', at: openedAt } as const;
  await of.store.insertRun({
    id: runId,
    input: { kind: 'job', runId, job },
    state: 'running',
    openedAt,
    trigger,
    ...changes,
  });
  return runId;
}

test('a job that has ended sends an event', async () => {
  const runId = await insertJob(world);
  world.nowMs += 2000;
  await closeJobStep(world, { runId, result: { outcome: 'completed' } });
  await closeJobStep(world, { runId, result: { outcome: 'completed' } });
  const at = world.now().toISOString();
  expect(events()).toEqual([
    {
      specversion: '1.0',
      id: runId,
      type: 'acr-promoter.job.completed',
      source: '/jobs/mine',
      subject: `${REGISTRY}/samples/app`,
      time: at,
      datacontenttype: 'application/json',
      data: {
        runId,
        jobId: 'mine',
        operation: 'tags',
        source: `${REGISTRY}/samples/app`,
        trigger: { kind: 'queue', id: 'm1', at: expect.any(String) },
        openedAt: expect.any(String),
        finishedAt: at,
        outcome: 'completed',
      },
    },
  ]);
  expect(await runOf(world, runId)).toMatchObject({ eventSentAt: at });
  const receipt = world.documents.kept.get(`receipts/${runId}.json`);
  expect(JSON.parse(Buffer.from(receipt ?? '').toString())).toEqual(events()[0]);
});

test('a job that ended as unchanged, an open job, and an unknown run send no event', async () => {
  const unchanged = await insertJob(world);
  await closeJobStep(world, { runId: unchanged, result: { outcome: 'unchanged' } });
  for (const id of [unchanged, await insertJob(world), 'nobody']) expect(await sendResultEvent(world, id)).toBe(false);
  expect(events()).toEqual([]);
});

test('an interrupted run sends no event; for a run that ended without one, the schedule sends it, once', async () => {
  const run = await openRun(world);
  await begin(world, run);
  world.engine.setState(run.runId, 'missing');
  await reconcilePromotion(world, run.promotionId, run.rule);
  expect(await runOf(world, run.runId)).toMatchObject({ result: { outcome: 'interrupted' } });
  const { runId = '' } = await rowOf(world, run.promotionId);
  await endRunRow(world, runId, { outcome: 'failed', code: 'X' });
  // The caller that ended it may be about to send the event.
  expect(await sendUnsent(world)).toEqual({ sent: [], problems: [] });
  world.nowMs += 60_000;
  expect(await sendUnsent(world)).toEqual({ sent: [runId], problems: [] });
  expect(await sendUnsent(world)).toEqual({ sent: [], problems: [] });
  expect(events()).toMatchObject([{ id: runId, data: { outcome: 'failed', code: 'X' } }]);
});

test('an event that a failing queue refused is sent later', async () => {
  const runId = await insertJob(world);
  const { queues } = world;
  world.queues = { ...queues, send: () => Promise.reject(new Error('down')) };
  await expect(closeJobStep(world, { runId, result: { outcome: 'failed', code: 'X' } })).rejects.toThrow('down');
  expect(await runOf(world, runId)).toMatchObject({ state: 'ended' });
  world.queues = queues;
  world.nowMs += 60_000;
  expect((await sendUnsent(world)).sent).toEqual([runId]);
  expect(events()).toMatchObject([{ id: runId, type: 'acr-promoter.job.failed' }]);
});

test('many events that cannot be sent do not block the events before them', async () => {
  const ended = { state: 'ended', finishedAt: world.now().toISOString(), result: { outcome: 'completed' } } as const;
  const first = await insertJob(world, ended);
  const others = new Set<string>();
  for (let count = 0; count < 150; count += 1) {
    world.nowMs += 1000;
    others.add(`${await insertJob(world, ended)}.json`);
  }
  const { documents } = world;
  world.documents = {
    ...documents,
    putIfAbsent: async (container, name, bytes) => {
      if (others.has(name)) throw new InputError('MESSAGE_TOO_LARGE', name);
      return documents.putIfAbsent(container, name, bytes);
    },
  };
  world.nowMs += RESULT_EVENT_MS;
  const { sent, problems } = await sendUnsent(world);
  expect(sent).toEqual([first]);
  // Each is a line of the log.
  expect(problems).toHaveLength(20);
});

test('after a crash at any call, the event is sent at most twice, under one id', async () => {
  let twice = 0;
  const calls = await breakEverywhere(
    async () => {
      const fresh = newWorld();
      return { world: fresh, given: await insertJob(fresh) };
    },
    (ports, runId) => closeJobStep(ports, { runId, result: { outcome: 'completed' } }),
    async (after, runId, where) => {
      const told = events(after);
      if (told.length === 2) twice += 1;
      expect({ where, ids: [...new Set(told.map(({ id }) => id))] }).toEqual({ where, ids: [runId] });
      expect(new Set(told.map((event) => JSON.stringify(event))).size).toBe(1);
      expect((await after.store.listDueRuns()).items).toEqual([]);
    },
  );
  // Only where it was sent and not yet marked.
  expect({ calls, twice }).toEqual({ calls: 6, twice: 2 });
});
