import { beforeEach, expect, test } from '@jest/globals';
import { closePromotion, incrementGeneration } from '../../../src/rows/generation.js';
import { takePromotion, writeDigest } from '../../../src/rows/row-writes.js';
import { reconcilePromotion } from '../../../src/rows/reconcile.js';
import type { Looked } from '../../../src/rows/news.js';
import type { RunResult, RunRow } from '../../../src/rows/run-row.js';
import { rule } from '../../support/rules.fixture.js';
import { newWorld, openRun, rowOf, runOf, SOURCE, type World } from '../../support/world.js';

// Each run says what opened it; what a run coalesced is counted.

let world: World;
beforeEach(() => {
  world = newWorld();
});

const staging = rule();
const at = () => world.now().toISOString();
const increment = async (kind: 'push' | 'referrer' | 'schedule', id: string) =>
  (await incrementGeneration(world, staging, SOURCE, { kind, id })).promotionId;
async function lastRun(promotionId: string): Promise<RunRow> {
  return runOf(world, (await rowOf(world, promotionId)).runId ?? '');
}

test('a run’s row names the event that opened it; coalesced triggers are counted, and the last is named', async () => {
  const id = await increment('push', 'e1');
  world.engine.setState((await rowOf(world, id)).runId ?? '', 'running');
  world.nowMs += 5;
  await increment('push', 'e2');
  await increment('referrer', 'e3');
  expect((await lastRun(id)).trigger).toEqual({ kind: 'push', id: 'e1', at: new Date(world.nowMs - 5).toISOString() });
  expect(await rowOf(world, id)).toMatchObject({ coalesced: 2, lastTrigger: { kind: 'referrer', id: 'e3', at: at() } });
});

test('a follow-up names the run before, and the last trigger that it coalesced', async () => {
  const { promotionId, runId } = await openRun(world);
  world.engine.setState(runId, 'running');
  await increment('push', 'e2');
  const answered = { generation: 1, result: { outcome: 'promoted' } as const, rule: staging };
  expect(await closePromotion(world, promotionId, runId, answered)).toBe('next');
  const coalesced = { kind: 'push', id: 'e2', at: at() };
  const next = await lastRun(promotionId);
  expect(next.trigger).toEqual({ kind: 'follow-up', id: runId, at: at(), coalesced });
  expect((await rowOf(world, promotionId)).coalesced).toBeUndefined();
  const superseded = { ...answered, generation: 2, result: { outcome: 'superseded' } as const };
  expect(await closePromotion(world, promotionId, next.id, superseded)).toBe('next');
  expect((await lastRun(promotionId)).trigger).toEqual({ kind: 'follow-up', id: next.id, at: at() });
});

test('the run after an orphaned run has the trigger retry', async () => {
  const { promotionId, runId } = await openRun(world);
  await takePromotion(world, promotionId, runId);
  world.engine.setState(runId, 'missing');
  await reconcilePromotion(world, promotionId, staging);
  expect((await lastRun(promotionId)).trigger).toEqual({ kind: 'retry', id: runId, at: at() });
});

test('what was reported before a run was stopped starts no other run, from a second delivery or a scan', async () => {
  const pushed = { kind: 'push', digest: 'sha256:a', at: at() } as const;
  const reported = { kind: 'referrer', referrer: 'sha256:r', at: at() } as const;
  const { promotionId } = await incrementGeneration(world, staging, SOURCE, pushed);
  await incrementGeneration(world, staging, SOURCE, reported);
  const { runId = '', generation } = await rowOf(world, promotionId);
  await takePromotion(world, promotionId, runId);
  const result = { outcome: 'cancelled', code: 'RUN_CANCELLED', digest: 'sha256:a' } as const;
  expect(await closePromotion(world, promotionId, runId, { generation, result, rule: staging })).toBe('closed');
  for (const known of [pushed, reported]) {
    expect(await incrementGeneration(world, staging, SOURCE, known)).toMatchObject({ isNew: false });
    expect(await rowOf(world, promotionId)).toMatchObject({ state: 'cancelled', runOpen: false });
  }
  world.nowMs += 1_000;
  expect(
    await incrementGeneration(world, staging, SOURCE, { ...reported, referrer: 'sha256:s', at: at() }),
  ).toMatchObject({
    isNew: true,
    runId: expect.any(String),
  });
});

test.each([
  ['observed', { outcome: 'observed' }],
  ['refused for its content', { outcome: 'refused', code: 'IMAGE_CONFIG_MISMATCH' }],
] as const)('what a run has %s starts no other run, from a second delivery or a scan', async (_what, ended) => {
  const pushed = { digest: 'sha256:a', at: at() };
  const reported = { referrer: 'sha256:r', at: at() };
  const { promotionId } = await incrementGeneration(world, staging, SOURCE, { kind: 'push', ...pushed });
  await incrementGeneration(world, staging, SOURCE, { kind: 'referrer', ...reported });
  const { runId = '', generation } = await rowOf(world, promotionId);
  await takePromotion(world, promotionId, runId);
  const result = { ...ended, digest: 'sha256:a' };
  expect(await closePromotion(world, promotionId, runId, { generation, result, rule: staging })).toBe('closed');
  for (const known of [pushed, reported]) {
    expect(await incrementGeneration(world, staging, SOURCE, { kind: 'schedule', ...known })).toMatchObject({
      isNew: false,
    });
    expect(await rowOf(world, promotionId)).toMatchObject({ state: ended.outcome, runOpen: false });
  }
  world.nowMs += 1_000;
  for (const news of [{ referrer: 'sha256:s' }, { digest: 'sha256:b' }])
    expect(await incrementGeneration(world, staging, SOURCE, { kind: 'push', ...news, at: at() })).toMatchObject({
      isNew: true,
    });
});

test.each<[string, RunResult, Looked | undefined]>([
  ['was observed without a reported referrer', { outcome: 'observed' }, { seen: [], unseen: ['sha256:r'] }],
  ['was refused for missing evidence', { outcome: 'refused', code: 'EVIDENCE_MISSING' }, undefined],
])('if a promotion %s, a second delivery looks again', async (_what, ended, looked) => {
  const reported = { kind: 'referrer', referrer: 'sha256:r', at: at() } as const;
  const { promotionId } = await incrementGeneration(world, staging, SOURCE, reported);
  const { runId = '', generation } = await rowOf(world, promotionId);
  await takePromotion(world, promotionId, runId);
  const result = { ...ended, digest: 'sha256:a' };
  expect(await closePromotion(world, promotionId, runId, { generation, result, rule: staging, looked })).toBe('closed');
  expect(await incrementGeneration(world, staging, SOURCE, reported)).toMatchObject({ isNew: true });
});

test('a trigger that waited while the app was paused keeps its cause', async () => {
  world.paused = true;
  const id = await increment('push', 'e1');
  const incrementedAt = at();
  world.nowMs += 60_000;
  world.paused = false;
  await reconcilePromotion(world, id, staging);
  expect((await lastRun(id)).trigger).toEqual({ kind: 'push', id: 'e1', at: incrementedAt });
});

test('a run’s row gets its digest as soon as it is known, and keeps it after the end', async () => {
  const { promotionId, runId } = await openRun(world);
  await writeDigest(world, runId, 'sha256:a');
  await writeDigest(world, runId, 'sha256:a');
  expect((await world.store.listRuns({ filter: { digest: 'sha256:a' } })).items).toMatchObject([{ id: runId }]);
  await closePromotion(world, promotionId, runId, { generation: 1, result: { outcome: 'promoted' }, rule: staging });
  await writeDigest(world, runId, 'sha256:b');
  expect(await runOf(world, runId)).toMatchObject({ state: 'ended', digest: 'sha256:a' });
});
