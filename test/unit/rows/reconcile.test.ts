import { beforeEach, describe, expect, test } from '@jest/globals';
import { cancelRun } from '../../../src/rows/cancellation.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import { reconcilePromotion, ORPHANED_AFTER_MS, SILENT_MS } from '../../../src/rows/reconcile.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import { beginRun, writeBegun } from '../../../src/promotions/observe.js';
import { closeRunStep } from '../../../src/promotions/close-run.js';
import { RESULT_EVENT_MS } from '../../../src/schedule/reconcile-runs.js';
import { sendUnsent } from '../../support/reconciled.js';
import { breakEverywhere } from '../../support/breaking.js';
import { pushImage } from '../../support/images.js';
import { SOURCE, newCall, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';
import { reconcilePromotions, retryFailed } from '../../../src/schedule/reconcile-promotions.js';
import { scanTick } from '../../support/scan-world.js';

// A run that the engine has lost: whatever breaks while it is given up, it ends as interrupted, without a result event, and its promotion
// is closed.

type Run = Awaited<ReturnType<typeof openRun>>;
interface Given extends Run {
  world: World;
}

const CASES = {
  'its rule is there': async () => {},
  'it was to stop': async ({ world, runId }: Given) => void (await cancelRun(world, runId, { by: 'me' })),
  'its rule is gone': async ({ world }: Given) => void (world.ruleList = []),
  'it was to stop, and its rule is gone': async ({ world, runId }: Given) => {
    await cancelRun(world, runId, { by: 'me' });
    world.ruleList = [];
  },
};

async function begunRun(prepare: (given: Given) => Promise<void>): Promise<{ world: World; given: Given }> {
  const world = newWorld();
  const given = { ...(await openRun(world)), world };
  await begin(world, given);
  world.nowMs += 1000;
  await prepare(given);
  return { world, given };
}

async function begin(world: World, run: Pick<Run, 'promotionId' | 'runId'>): Promise<boolean> {
  world.engine.setState(run.runId, 'running');
  return (await beginRun(world, run, { run: await runOf(world, run.runId) })) !== undefined;
}

/** The run's last step. */
async function close(world: World, run: Run & { generation?: number }): Promise<string> {
  const result = { outcome: 'promoted', digest: 'sha256:a' } as const;
  const { promotionId, runId, generation = 1 } = run;
  const closed = await closeRunStep(world, { promotionId, runId, generation, result, did: [] }, newCall());
  world.engine.setState(run.runId, 'ended');
  return 'done' in closed ? closed.done : 'later';
}

/** What the schedule does with the row. */
async function tend(ports: World, { promotionId }: Run): Promise<void> {
  await reconcilePromotion(ports, promotionId, ports.ruleList[0]);
}

/** Ticks, and whatever run they open. */
async function closeWithoutRule(world: World, run: Run): Promise<void> {
  for (let tick = 0; tick < 4; tick += 1) {
    await tend(world, run);
    const { runId = '', runOpen } = await rowOf(world, run.promotionId);
    if (runOpen && runId !== run.runId && (await begin(world, { ...run, runId })))
      await close(world, { ...run, runId });
    world.nowMs += RESULT_EVENT_MS;
    await sendUnsent(world);
  }
}

/** Each run with how it ended and how many result events it has, newest first; what the promotion says, and whether it is at rest. */
async function standing(world: World, { promotionId }: Run): Promise<unknown> {
  const { state, last, runOpen } = await rowOf(world, promotionId);
  const told = world.queues.sent.map(({ text }) => (JSON.parse(text) as { id: string }).id);
  const { items } = await world.store.listRuns();
  const runs = items.map((run) => [
    run.state,
    run.result?.code ?? run.result?.outcome,
    told.filter((id) => id === run.id).length,
  ]);
  return { runs, promotion: [state, last?.code ?? last?.outcome], runOpen };
}

const FOLLOWED = {
  runs: [
    ['ended', 'promoted', 1],
    ['ended', 'interrupted', 0],
  ],
  promotion: ['in_sync', 'promoted'],
  runOpen: false,
};
const STOPPED = {
  runs: [['ended', 'RUN_CANCELLED', 1]],
  promotion: ['cancelled', 'RUN_CANCELLED'],
  runOpen: false,
};
const EXPECTED: Record<keyof typeof CASES, unknown> = {
  'its rule is there': FOLLOWED,
  'it was to stop': STOPPED,
  'its rule is gone': { runs: [['ended', 'interrupted', 0]], promotion: ['refused', 'RULE_GONE'], runOpen: false },
  'it was to stop, and its rule is gone': STOPPED,
};
const named = Object.keys(CASES) as (keyof typeof CASES)[];

describe.each(named)('a crash at any call while an orphaned run is replaced, and %s', (name) => {
  test.each(['missing', 'ended'] as const)('ends in the same rows if its instance is %s', async (state) => {
    const calls = await breakEverywhere(
      () =>
        begunRun(async (given) => {
          await CASES[name](given);
          given.world.engine.setState(given.runId, state);
        }),
      tend,
      async (world, given, where) => {
        await closeWithoutRule(world, given);
        expect([where, await standing(world, given)]).toEqual([where, EXPECTED[name]]);
        // Should it wake up after all, it changes nothing.
        const [row, run] = [await rowOf(world, given.promotionId), await runOf(world, given.runId)];
        expect(await begin(world, given)).toBe(false);
        await close(world, given);
        await closeWithoutRule(world, given);
        expect(await runOf(world, given.runId)).toEqual(run);
        expect(await rowOf(world, given.promotionId)).toEqual(row);
        expect([where, await standing(world, given)]).toEqual([where, EXPECTED[name]]);
      },
    );
    expect(calls).toBeGreaterThanOrEqual(6);
  });

  test('a slow run that ends while it is replaced changes nothing afterwards', async () => {
    await breakEverywhere(
      () =>
        begunRun(async (given) => {
          await CASES[name](given);
          given.world.nowMs += 2 * SILENT_MS;
          await tend(given.world, given);
          given.world.nowMs += ORPHANED_AFTER_MS;
        }),
      async (ports, given) => {
        // What comes after the crash.
        if (ports === given.world) await close(ports, given);
        await tend(ports, given);
      },
      async (world, given, where) => {
        await closeWithoutRule(world, given);
        const { promotion, runs, runOpen } = (await standing(world, given)) as typeof FOLLOWED;
        // One that nobody had ended yet has done its work.
        const itself = runs.at(-1)?.[1] === 'promoted';
        expect([where, { promotion, runs, runOpen }]).toEqual([
          where,
          itself
            ? { runs: [['ended', 'promoted', 1]], promotion: ['in_sync', 'promoted'], runOpen: false }
            : EXPECTED[name],
        ]);
      },
    );
  });
});

describe('a run that is ended as interrupted before it has begun', () => {
  test('does not begin; the next run does', async () => {
    const world = newWorld();
    const run = await openRun(world);
    world.nowMs += 2 * SILENT_MS;
    await tend(world, run);
    world.nowMs += ORPHANED_AFTER_MS;
    const replacePromotion = (): Promise<boolean> => Promise.reject(new Error('killed'));
    const dying = { ...world, store: { ...world.store, replacePromotion } };
    await expect(tend(dying, run)).rejects.toThrow('killed');
    expect(await begin(world, run)).toBe(false);
    world.engine.setState(run.runId, 'ended');
    await closeWithoutRule(world, run);
    expect(await standing(world, run)).toEqual(FOLLOWED);
  });

  test('ends its row when it begins, if the row was written only then', async () => {
    const world = newWorld();
    const { store } = world;
    // The caller that opens it is slow; meanwhile its rule goes, and the schedule finds no instance.
    const insertRun = async (row: RunRow): Promise<boolean> => {
      if (row.input.kind === 'promotion') await reconcilePromotion(world, row.input.promotionId, undefined);
      return store.insertRun(row);
    };
    const run = await openRun({ ...world, store: { ...store, insertRun } });
    expect(await rowOf(world, run.promotionId)).toMatchObject({ runOpen: false, last: { code: 'RULE_GONE' } });
    expect(await begin(world, run)).toBe(false);
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'ended', result: { outcome: 'interrupted' } });
  });
});

describe('runs that are orphaned one after the other', () => {
  const MINUTE = 60_000;
  let world: World;
  let promotionId: string;
  beforeEach(async () => {
    world = newWorld();
    const source = world.registries.repository(SOURCE.registry, SOURCE.repository);
    await pushImage(source, { tag: SOURCE.tag });
    ({ promotionId } = await openRun(world));
  });

  /** The open run begins, and its instance ends without a word. */
  async function lose(): Promise<string> {
    const { runId = '' } = await rowOf(world, promotionId);
    expect(await begin(world, { promotionId, runId })).toBe(true);
    world.engine.setState(runId, 'ended');
    return runId;
  }
  /** A tick of the schedule: it reconciles, then it scans. @returns whether a run is open after it */
  async function tick(): Promise<boolean> {
    const { failed } = await reconcilePromotions(world, 0);
    await scanTick(world);
    await retryFailed(world, failed, 0);
    return (await rowOf(world, promotionId)).runOpen;
  }

  test('each is followed at once; after three without progress the promotion fails, and the schedule’s pauses grow', async () => {
    let pauseMinutes = 5;
    for (let failures = 1; failures < 5; failures += 1, pauseMinutes *= 2) {
      for (let times = 1; times < 3; times += 1) {
        const runId = await lose();
        expect([failures, times, await tick()]).toEqual([failures, times, true]);
        expect(await rowOf(world, promotionId)).toMatchObject({
          failures: failures - 1,
          previousRunId: runId,
          runTrigger: { kind: 'retry', id: runId },
          interrupted: { times },
        });
      }
      const runId = await lose();
      expect(await tick()).toBe(false);
      const row = await rowOf(world, promotionId);
      expect(row).toMatchObject({ state: 'failed', failures, last: { runId, outcome: 'failed', code: 'RUN_LOST' } });
      expect(row.observedGeneration).toBe(row.generation);
      expect(await runOf(world, runId)).toMatchObject({ result: { outcome: 'failed', code: 'RUN_LOST' } });
      world.nowMs += (pauseMinutes - 1) * MINUTE;
      expect([failures, await tick()]).toEqual([failures, false]);
      world.nowMs += MINUTE;
      expect([failures, await tick()]).toEqual([failures, true]);
    }
    const run = { ...(await runInput(world, promotionId)) };
    await begin(world, run);
    const { generation } = await rowOf(world, promotionId);
    await close(world, { ...run, generation });
    const row = await rowOf(world, promotionId);
    expect(row).toMatchObject({ state: 'in_sync', failures: 0 });
    expect(row).not.toHaveProperty('interrupted');
  });

  test('a run with more progress, or a trigger, restarts the count', async () => {
    const progress = async (runId: string, steps: number): Promise<void> => {
      const at = world.now().toISOString();
      for (let step = 0; step < steps; step += 1) {
        const row = { step: `step ${step}`, state: 'done', text: '', startedAt: at, updatedAt: at } as const;
        await world.store.putProgress({ runId, ...row });
      }
    };
    for (const steps of [0, 0, 1, 1, 2, 2]) {
      const { runId = '' } = await rowOf(world, promotionId);
      await progress(runId, steps);
      await lose();
      expect([steps, await tick()]).toEqual([steps, true]);
    }
    await openRun(world);
    for (const isOpen of [true, true, false]) {
      await lose();
      expect(await tick()).toBe(isOpen);
    }
  });

  test('a run that copied more bytes restarts the count', async () => {
    for (const doneBytes of [0, 0, 100, 100, 300, 300, 200]) {
      const { runId = '' } = await rowOf(world, promotionId);
      const at = world.now().toISOString();
      await world.store.putProgress({
        runId,
        step: 'copy',
        state: 'working',
        text: '',
        startedAt: at,
        updatedAt: at,
        doneBytes,
        totalBytes: 1_000,
      });
      await lose();
      expect([doneBytes, await tick()]).toEqual([doneBytes, doneBytes !== 200]);
    }
    expect(await rowOf(world, promotionId)).toMatchObject({ state: 'failed', last: { code: 'RUN_LOST' } });
  });

  test('a run that ended itself meanwhile closes the promotion; the next full scan starts the next run', async () => {
    await lose();
    await tick();
    const runId = await lose();
    await endRunRow(world, runId, { outcome: 'promoted', digest: 'sha256:a' });
    expect(await tick()).toBe(false);
    expect(await rowOf(world, promotionId)).toMatchObject({ state: 'in_sync', last: { runId, outcome: 'promoted' } });
    // The next full scan sees that the tag is something else.
    world.nowMs += 6 * 60 * MINUTE;
    expect(await tick()).toBe(true);
    expect(await rowOf(world, promotionId)).toMatchObject({ state: 'working', previousRunId: runId });
    expect(await runOf(world, runId)).toMatchObject({ result: { outcome: 'promoted' } });
  });

  test('the third in a row does not fail the promotion if it had ended as promoted', async () => {
    for (let times = 1; times < 3; times += 1) {
      await lose();
      await tick();
    }
    const runId = await lose();
    await endRunRow(world, runId, { outcome: 'promoted', digest: 'sha256:a' });
    expect(await tick()).toBe(false);
    const row = await rowOf(world, promotionId);
    expect(row).toMatchObject({ state: 'in_sync', failures: 0, last: { runId, outcome: 'promoted' } });
    expect(row).not.toHaveProperty('interrupted');
  });

  test('while the app is paused, no run follows one that had ended as promoted after a cancel request', async () => {
    const runId = await lose();
    await writeBegun(world, runId, 1, { digest: DIGEST });
    await cancelRun(world, runId, { by: 'me' });
    await endRunRow(world, runId, { outcome: 'promoted', digest: DIGEST });
    world.paused = true;
    await openRun(world);
    await tick();
    expect(await rowOf(world, promotionId)).toMatchObject({
      runId,
      runOpen: false,
      generation: 2,
      observedGeneration: 1,
      last: { runId, outcome: 'promoted' },
    });
    world.paused = false;
    expect(await tick()).toBe(true);
  });

  test('a trigger in between gets a run at once', async () => {
    await lose();
    const second = await openRun(world);
    expect(await rowOf(world, promotionId)).toMatchObject({ runOpen: true, failures: 0 });
    expect(second.runId).toBeDefined();
    // The one that was lost before is only found out then.
    for (const isOpen of [true, false]) {
      await lose();
      expect(await tick()).toBe(isOpen);
    }
    expect(await rowOf(world, promotionId)).toMatchObject({ runOpen: false, state: 'failed', failures: 1 });
    await openRun(world);
    expect(await rowOf(world, promotionId)).toMatchObject({ runOpen: true });
  });

  test('a trigger while the third is replaced is not answered by it and gets a run', async () => {
    for (let times = 1; times < 3; times += 1) {
      await lose();
      expect(await tick()).toBe(true);
    }
    const runId = await lose();
    const replacePromotion = (): Promise<boolean> => Promise.reject(new Error('killed'));
    const dying = { ...world, store: { ...world.store, replacePromotion } };
    await expect(reconcilePromotion(dying, promotionId, world.ruleList[0])).rejects.toThrow('killed');
    expect(await runOf(world, runId)).toMatchObject({ result: { code: 'RUN_LOST' } });
    await openRun(world);
    const row = await rowOf(world, promotionId);
    expect(row).toMatchObject({ runOpen: true, previousRunId: runId });
    expect(row.observedGeneration).toBeLessThan(row.generation);
  });

  const DIGEST = 'sha256:a';
  /** The next run finds that nothing differs. @returns how the two of them ended, and what was told */
  async function nextFindsNothing(): Promise<unknown> {
    const run = await runInput(world, promotionId);
    await begin(world, run);
    const { generation } = await rowOf(world, promotionId);
    const result = { outcome: 'unchanged', digest: DIGEST } as const;
    await closeRunStep(world, { promotionId, runId: run.runId, generation, result, did: [] }, newCall());
    const told = world.queues.sent.map(({ text }) => (JSON.parse(text) as { type: string }).type);
    return { outcome: (await runOf(world, run.runId)).result?.outcome, told };
  }

  test.each([
    ['while it wrote the tag', 'tagDestination', { outcome: 'promoted', told: ['acr-promoter.promotion.promoted'] }],
    ['while it copied', 'copy', { outcome: 'promoted', told: ['acr-promoter.promotion.promoted'] }],
    ['before it copied', 'attach', { outcome: 'unchanged', told: [] }],
  ])('lost %s, and the next finds nothing to do: what it did has a result event', async (_when, step, expected) => {
    const runId = await lose();
    await writeBegun(world, runId, 1, { digest: DIGEST });
    const at = world.now().toISOString();
    await world.store.putProgress({ runId, step, state: 'working', text: '', startedAt: at, updatedAt: at });
    await reconcilePromotion(world, promotionId, world.ruleList[0]);
    expect(await nextFindsNothing()).toEqual(expected);
  });

  test('a run that was orphaned while it wrote the tag gets its result event even if the next is orphaned, too', async () => {
    const first = await lose();
    await writeBegun(world, first, 1, { digest: DIGEST });
    const at = world.now().toISOString();
    const row = { step: 'tagDestination', state: 'done', text: '', startedAt: at, updatedAt: at } as const;
    await world.store.putProgress({ runId: first, ...row });
    await reconcilePromotion(world, promotionId, world.ruleList[0]);
    await lose();
    await reconcilePromotion(world, promotionId, world.ruleList[0]);
    expect(await nextFindsNothing()).toMatchObject({ outcome: 'promoted' });
  });

  test('a run whose row has ended already closes its promotion with that result', async () => {
    const { runId = '' } = await rowOf(world, promotionId);
    expect(await begin(world, { promotionId, runId })).toBe(true);
    const run = await world.store.getRun(runId);
    const result = { outcome: 'promoted', digest: 'sha256:a' } as const;
    const ended = {
      ...(await runOf(world, runId)),
      state: 'ended',
      finishedAt: world.now().toISOString(),
      result,
    } as const;
    expect(await world.store.replaceRun(ended, run?.version ?? '')).toBe(true);
    world.engine.setState(runId, 'ended');
    await reconcilePromotion(world, promotionId, world.ruleList[0]);
    expect(await rowOf(world, promotionId)).toMatchObject({
      state: 'in_sync',
      runOpen: false,
      failures: 0,
      last: { ...result, runId },
    });
  });
});

async function runInput(world: World, promotionId: string): Promise<Run> {
  const { runId = '' } = await rowOf(world, promotionId);
  const { input } = await runOf(world, runId);
  if (input.kind !== 'promotion') throw new Error('a job');
  return { ...input, source: SOURCE };
}

describe('an orphaned run that was writing the tag', () => {
  const DIGEST = 'sha256:a';
  let world: World;
  let run: Run;

  beforeEach(async () => {
    world = newWorld();
    run = await openRun(world);
    await begin(world, run);
    await writeBegun(world, run.runId, 1, { digest: DIGEST });
    const at = world.now().toISOString();
    const step = { step: 'tagDestination', state: 'working', text: '', startedAt: at, updatedAt: at } as const;
    await world.store.putProgress({ runId: run.runId, ...step });
    world.engine.setState(run.runId, 'ended');
  });

  test('ends as cancelled if the cancel request comes while it is replaced, and no run follows', async () => {
    const answers: unknown[] = [];
    const listProgress: World['store']['listProgress'] = async (id) => {
      answers.push(await cancelRun(world, run.runId, { by: 'mia' }));
      return world.store.listProgress(id);
    };
    const late = { ...world, store: { ...world.store, listProgress } };
    await reconcilePromotion(late, run.promotionId, run.rule);
    expect(answers).toMatchObject([{ state: 'accepted' }]);
    expect((await runOf(world, run.runId)).result).toMatchObject({ outcome: 'cancelled', digest: DIGEST });
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({ runOpen: false, runId: run.runId, state: 'cancelled', observedGeneration: 1 });
  });

  /** A later run finds the digest at the destination and changes nothing. @returns its outcome */
  async function nextOutcome(): Promise<unknown> {
    world.nowMs += 60_000;
    const { runId } = await openRun(world, run.rule);
    await begin(world, { ...run, runId });
    const { generation } = await rowOf(world, run.promotionId);
    const closing = { promotionId: run.promotionId, runId, generation, did: [] };
    await closeRunStep(world, { ...closing, result: { outcome: 'unchanged', digest: DIGEST } }, newCall());
    return (await runOf(world, runId)).result?.outcome;
  }

  test('and was cancelled gets its result event from the next run that finds the digest there', async () => {
    await cancelRun(world, run.runId, { by: 'mia' });
    await reconcilePromotion(world, run.promotionId, run.rule);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'cancelled', runOpen: false });
    expect(await nextOutcome()).toBe('promoted');
  });

  test('and whose rule is gone gets its result event once the rule is back', async () => {
    await reconcilePromotion(world, run.promotionId, undefined);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'refused', runOpen: false });
    expect(await nextOutcome()).toBe('promoted');
  });

  test('and was cancelled leaves no failures and no retry of the run before', async () => {
    const failed = { outcome: 'failed', code: 'X', reason: 'r', digest: DIGEST } as const;
    const { promotionId } = run;
    await closeRunStep(world, { promotionId, runId: run.runId, generation: 1, result: failed, did: [] }, newCall());
    const before = await rowOf(world, promotionId);
    expect(before).toMatchObject({ failures: 1, retryAt: expect.any(String) });
    world.nowMs += 3_600_000;
    const { runId } = await openRun(world, run.rule);
    await begin(world, { promotionId, runId });
    await cancelRun(world, runId, { by: 'mia' });
    world.engine.setState(runId, 'ended');
    await reconcilePromotion(world, promotionId, run.rule);
    const row = await rowOf(world, promotionId);
    expect(row).toMatchObject({ state: 'cancelled', failures: 0, since: world.now().toISOString() });
    expect(row).not.toHaveProperty('retryAt');
  });
});
