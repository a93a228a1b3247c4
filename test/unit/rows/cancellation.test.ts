import { beforeEach, describe, expect, test } from '@jest/globals';
import { answerCancel } from '../../../src/functions/http/cancel-run.js';
import { cancelRun, cancelledResult } from '../../../src/rows/cancellation.js';
import { closePromotion, incrementGeneration } from '../../../src/rows/generation.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import { takePromotion, writeWaiting } from '../../../src/rows/row-writes.js';
import { jobInstanceOf } from '../../../src/rows/job-instance.js';
import { reconcilePromotion } from '../../../src/rows/reconcile.js';
import { fingerprint } from '../../../src/rules/rule.js';
import { decideTag } from '../../../src/rules/decide.js';
import { SOURCE, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';
import { openJobRun } from '../../support/job-world.js';

let world: World;
const WHO = { by: 'mia', reason: 'wrong image' };

beforeEach(() => {
  world = newWorld();
});

async function closed(run: Awaited<ReturnType<typeof openRun>>, generation = 1): Promise<string> {
  const { cancel } = await runOf(world, run.runId);
  if (cancel === undefined) throw new Error('not cancelled');
  const result = { ...cancelledResult(cancel), digest: 'sha256:a' };
  return closePromotion(world, run.promotionId, run.runId, { generation, rule: run.rule, result });
}

describe('a request to stop a run', () => {
  test('writes who, when and why to its row once; a second request gets the first answer', async () => {
    const { runId } = await openRun(world);
    const first = await cancelRun(world, runId, WHO);
    world.nowMs += 5_000;
    const second = await cancelRun(world, runId, { by: 'noah' });
    expect(first).toEqual({
      state: 'accepted',
      cancel: { ...WHO, at: (await runOf(world, runId)).openedAt, generation: 1 },
    });
    expect(second).toEqual(first);
  });

  test('has a remedy that names a command', () => {
    const { remedy } = cancelledResult({ ...WHO, at: world.now().toISOString() });
    expect(remedy).toContain('acr-promoter promotions run NAME:TAG');
  });

  test('that is sent many times at once counts once, and all get the same answer', async () => {
    const { runId } = await openRun(world);
    const names = Array.from({ length: 10 }, (_, index) => `n${index}`);
    const answers = await Promise.all(names.map((by) => cancelRun(world, runId, { by })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  test('for an unknown run, or one that has ended, changes nothing', async () => {
    expect(await cancelRun(world, 'none', WHO)).toEqual({ state: 'unknown' });
    const { runId } = await openRun(world);
    await endRunRow(world, runId, { outcome: 'promoted' });
    expect(await cancelRun(world, runId, WHO)).toEqual({ state: 'ended', result: { outcome: 'promoted' } });
    expect((await runOf(world, runId)).cancel).toBeUndefined();
  });

  test('for a run that has ended names the promotion’s open run', async () => {
    const run = await openRun(world);
    await closePromotion(world, run.promotionId, run.runId, {
      generation: 1,
      rule: run.rule,
      result: { outcome: 'superseded' },
    });
    const { runId: next } = await rowOf(world, run.promotionId);
    expect(await cancelRun(world, run.runId, WHO)).toMatchObject({ state: 'ended', next });
    expect(await answerCancel(world, run.runId, { text: async () => '' })).toMatchObject({
      status: 409,
      jsonBody: { error: { code: 'RUN_ENDED', message: expect.stringContaining(`the next run, ${next}, is open`) } },
    });
  });

  test('comes too late after the last write, and the run keeps its outcome', async () => {
    const { runId } = await openRun(world);
    await cancelRun(world, runId, WHO);
    await endRunRow(world, runId, { outcome: 'promoted' });
    expect(await cancelRun(world, runId, WHO)).toMatchObject({ state: 'ended', result: { outcome: 'promoted' } });
  });

  test('after the run has stopped gets the same answer, and wakes nothing', async () => {
    const run = await openRun(world);
    const first = await cancelRun(world, run.runId, WHO);
    await closed(run);
    expect(await cancelRun(world, run.runId, WHO)).toEqual(first);
    expect(world.engine.notified).toEqual([]);
  });

  test('wakes a run at its gate and a step that backs off, each by its event', async () => {
    const { promotionId, runId } = await openRun(world);
    await writeWaiting(world, promotionId, runId, 1, 'evidence-3');
    const step = { runId, text: '', startedAt: '', updatedAt: '' };
    await world.store.putProgress({ ...step, step: 'a', state: 'waiting', event: 'notify-1' });
    await world.store.putProgress({ ...step, step: 'b', state: 'done', event: 'notify-2' });
    await cancelRun(world, runId, WHO);
    expect(world.engine.notified.map(({ id, event }) => [id, event])).toEqual([
      [runId, 'notify-1'],
      [runId, 'evidence-3'],
    ]);
  });

  test('wakes a job that was started again under the id of its new instance', async () => {
    await openJobRun(world, { operation: 'sign', reference: `${SOURCE.registry}/samples/app:v1` }, 'r1');
    const run = await world.store.getRun('r1');
    const again = { ...(await runOf(world, 'r1')), startedAgainAt: world.now().toISOString() };
    expect(await world.store.replaceRun(again, run?.version ?? '')).toBe(true);
    world.engine.setState(jobInstanceOf(again), 'running');
    const step = { runId: 'r1', text: '', startedAt: '', updatedAt: '' };
    await world.store.putProgress({ ...step, step: 'a', state: 'waiting', event: 'notify-1' });
    await cancelRun(world, 'r1', WHO);
    expect(world.engine.notified).toEqual([{ id: jobInstanceOf(again), event: 'notify-1' }]);
    expect(jobInstanceOf(again)).not.toBe('r1');
  });

  test('works for a job’s run', async () => {
    await openJobRun(world, { operation: 'resolve', reference: 'r.azurecr.io/a:v1' }, 'r1');
    expect(await cancelRun(world, 'r1', WHO)).toEqual({
      state: 'accepted',
      cancel: { ...WHO, at: expect.any(String) },
    });
  });
});

describe('a promotion whose run was stopped', () => {
  test('is left alone by the schedule as long as digest and rule stay the same', async () => {
    const run = await openRun(world);
    await cancelRun(world, run.runId, WHO);
    expect(await closed(run)).toBe('closed');
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({
      state: 'cancelled',
      runOpen: false,
      observedGeneration: 1,
      last: { outcome: 'cancelled' },
    });
    const seen = { row, now: world.now(), fingerprint: fingerprint(run.rule) };
    expect(decideTag({ ...seen, digest: 'sha256:a' })).toBe('leave');
    expect(decideTag({ ...seen, digest: 'sha256:b' })).toBe('increment');
    expect(decideTag({ ...seen, fingerprint: 'other', digest: 'sha256:a' })).toBe('run again');
  });

  test('has answered all triggers before the request; later ones get the next run', async () => {
    const run = await openRun(world);
    await takePromotion(world, run.promotionId, run.runId);
    world.engine.setState(run.runId, 'running');
    await incrementGeneration(world, run.rule, SOURCE, { kind: 'push' });
    await cancelRun(world, run.runId, WHO);
    expect(await closed(run)).toBe('closed');
    expect(await rowOf(world, run.promotionId)).toMatchObject({ generation: 2, observedGeneration: 2, runOpen: false });

    const second = await openRun(world);
    await takePromotion(world, second.promotionId, second.runId);
    world.engine.setState(second.runId, 'running');
    await cancelRun(world, second.runId, WHO);
    await incrementGeneration(world, run.rule, SOURCE, { kind: 'push' });
    expect(await closed(second, 3)).toBe('next');
    expect(await rowOf(world, run.promotionId)).toMatchObject({ runOpen: true, previousRunId: second.runId });
  });

  test('gets a run for a trigger between the request and the start, even if the stopped run read it', async () => {
    const run = await openRun(world);
    await cancelRun(world, run.runId, WHO);
    await incrementGeneration(world, run.rule, SOURCE, { kind: 'push' });
    const begun = await takePromotion(world, run.promotionId, run.runId);
    expect(begun?.generation).toBe(2);
    expect(await closed(run, begun?.generation)).toBe('next');
    expect(await rowOf(world, run.promotionId)).toMatchObject({
      observedGeneration: 1,
      runOpen: true,
      previousRunId: run.runId,
    });
  });

  test('is closed without a next run if its instance is orphaned', async () => {
    const run = await openRun(world);
    await takePromotion(world, run.promotionId, run.runId);
    await cancelRun(world, run.runId, WHO);
    world.engine.setState(run.runId, 'ended');
    await reconcilePromotion(world, run.promotionId, run.rule);
    expect(await rowOf(world, run.promotionId)).toMatchObject({
      state: 'cancelled',
      runOpen: false,
      runId: run.runId,
      last: { code: 'RUN_CANCELLED', fingerprint: fingerprint(run.rule) },
    });
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'ended', result: { outcome: 'cancelled' } });
    expect(world.engine.starts).toHaveLength(1);
  });
});
