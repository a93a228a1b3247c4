import { beforeEach, describe, expect, test } from '@jest/globals';
import { PromoterError } from '../../../src/oci/index.js';
import { closePromotion } from '../../../src/rows/generation.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { RunResult } from '../../../src/rows/run-row.js';
import { sendResultEvent } from '../../../src/promotions/close-run.js';
import { handleTickMessage, reviveClock } from '../../../src/schedule/clock.js';
import { reconcilePromotions, retryFailed } from '../../../src/schedule/reconcile-promotions.js';
import { reconcileRuns } from '../../../src/schedule/reconcile-runs.js';
import { promotionId } from '../../../src/rules/rule.js';
import { countStoreCalls } from '../../support/counted-store.js';
import { rule } from '../../support/rules.fixture.js';
import { copying, endRuns, pushTo, scanAll } from '../../support/scan-world.js';
import { REGISTRY, SOURCE, begin, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const FAILED: RunResult = { outcome: 'failed', code: 'SOURCE_NOT_WRITABLE', reason: 'no' };

let world: World;
/** The requests to the table, by name. */
let asked: string[];

beforeEach(() => use(newWorld(rule())));

function use(fresh: World): void {
  world = fresh;
  asked = countStoreCalls(world);
}

const id = (tag = SOURCE.tag): string => promotionId(world.ruleList[0]?.name ?? '', { ...SOURCE, tag });
const starts = (): number => world.engine.starts.length;

/** Opens a run and marks it as begun. */
async function opened(tag = SOURCE.tag): Promise<{ promotionId: string; runId: string }> {
  const run = await openRun(world, undefined, { ...SOURCE, tag });
  await begin(world, run);
  return run;
}

async function ended(result: RunResult, tag = SOURCE.tag): Promise<PromotionRow> {
  const { runId = '' } = await rowOf(world, id(tag));
  const which = world.ruleList[0] ?? rule();
  const { generation } = await rowOf(world, id(tag));
  await closePromotion(world, id(tag), runId, { generation, result, rule: which });
  world.engine.setState(runId, 'ended');
  return rowOf(world, id(tag));
}

/** What a tick does. */
async function reconciled(): Promise<{ started: number; problems: string[] }> {
  const { started, failed, problems } = await reconcilePromotions(world, 0);
  const retried = await retryFailed(world, failed, started);
  return { started: started + retried.started, problems: [...problems, ...retried.problems] };
}

describe('a quiet minute', () => {
  test.each([0, 500])('costs two table requests besides the clock’s row, with %i promotions', async (count) => {
    for (let index = 0; index < count; index += 1) {
      await opened(`v${index}`);
      const { last } = await ended(index % 2 === 0 ? { outcome: 'unchanged' } : FAILED, `v${index}`);
      await sendResultEvent(world, last?.runId ?? '');
    }
    await reviveClock(world);
    const { text } = world.queues.sent.at(-1) ?? { text: '' };
    asked.length = 0;
    await handleTickMessage(world, text, async (state) => {
      await reconcileRuns(world);
      await reconciled();
      return state;
    });
    expect(asked).toEqual(['getNote', 'listDueRuns', 'listDuePromotions', 'putNote']);
  });
});

describe('an orphaned run', () => {
  test.each(['missing', 'ended'] as const)('is replaced by the next tick if its instance is %s', async (state) => {
    const { runId } = await opened();
    world.engine.setState(runId, state);
    // The loop ticks once a minute.
    world.nowMs += MINUTE;
    await reconciled();
    expect(starts()).toBe(2);
    expect(await rowOf(world, id())).toMatchObject({ runOpen: true, previousRunId: runId });
  });

  test('a run that waits for evidence is not disturbed', async () => {
    const { runId } = await opened();
    const current = await world.store.getPromotion(id());
    if (current === undefined) throw new Error('no row');
    const waiting: PromotionRow = { ...current.value, state: 'waiting', waitingFor: 'evidence-1' };
    await world.store.replacePromotion(waiting, current.version);
    world.nowMs += MINUTE;
    await reconciled();
    expect(world.engine.notified).toEqual([]);
    expect(await rowOf(world, id())).toMatchObject({ runId, runOpen: true });
  });

  test('one tick handles 300 open rows, even if one of them is broken', async () => {
    for (let index = 0; index < 300; index += 1) await opened(`v${index}`);
    for (const { id: runId } of world.engine.starts) world.engine.setState(runId, 'missing');
    const before = starts();
    await reconciled();
    expect(starts() - before).toBe(300);
  });

  test('rows that a tick has no time for are handled by the next one', async () => {
    for (let index = 0; index < 250; index += 1) await opened(`v${index}`);
    for (const { id: runId } of world.engine.starts) world.engine.setState(runId, 'missing');
    const before = starts();
    // The time is over after the first page.
    await reconcilePromotions(world, 0, () => true);
    expect(starts() - before).toBe(100);
    await reconcilePromotions(world, 0);
    expect(starts() - before).toBe(250);
  });
});

describe('a failed promotion', () => {
  test('is retried after five minutes, then after twice as long each time, up to a day', async () => {
    await opened();
    const pauses: number[] = [];
    for (let failures = 1; failures <= 12; failures += 1) {
      const failedMs = world.nowMs;
      const { retryAt = '' } = await ended(FAILED);
      pauses.push((Date.parse(retryAt) - failedMs) / MINUTE);
      const before = starts();
      world.nowMs = Date.parse(retryAt) - 1;
      expect(await reconciled()).toEqual({ started: 0, problems: [] });
      world.nowMs += 1;
      expect(await reconciled()).toEqual({ started: 1, problems: [] });
      expect(starts() - before).toBe(1);
      await begin(world, { promotionId: id(), runId: (await rowOf(world, id())).runId ?? '' });
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440]);
  });

  test('has no retry time after it succeeded', async () => {
    await opened();
    await ended(FAILED);
    world.nowMs += 5 * MINUTE;
    await reconciled();
    await begin(world, { promotionId: id(), runId: (await rowOf(world, id())).runId ?? '' });
    expect(await ended({ outcome: 'promoted' })).not.toHaveProperty('retryAt');
    world.nowMs += 2 * DAY;
    expect(await reconciled()).toEqual({ started: 0, problems: [] });
  });

  test('is left to the scans if its tag is gone or its rule has no schedule', async () => {
    await opened();
    expect(await ended({ outcome: 'failed', code: 'SOURCE_GONE', reason: 'gone' })).not.toHaveProperty('retryAt');
    use(newWorld(rule({ triggers: ['push'] })));
    await opened();
    expect(await ended(FAILED)).not.toHaveProperty('retryAt');
  });

  test('is checked only once if its rule is gone or no longer has the trigger schedule', async () => {
    const { promotionId: kept } = await opened();
    await ended(FAILED);
    world.ruleList = [];
    world.nowMs += 5 * MINUTE;
    await reconciled();
    expect(await rowOf(world, kept)).not.toHaveProperty('retryAt');
    asked.length = 0;
    await reconciled();
    expect(asked).toEqual(['listDuePromotions']);
    expect(starts()).toBe(1);
  });

  test('waits while promotions are paused or maxRunsPerTick is reached', async () => {
    for (const tag of ['v1', 'v2', 'v3']) {
      await opened(tag);
      await ended(FAILED, tag);
    }
    world.nowMs += 5 * MINUTE;
    world.paused = true;
    expect(await reconciled()).toEqual({ started: 0, problems: [] });
    world.paused = false;
    world.maxRunsPerTick = 2;
    expect(await reconciled()).toEqual({ started: 2, problems: [] });
    expect(await reconciled()).toEqual({ started: 1, problems: [] });
    expect(starts()).toBe(6);
  });

  test('is retried once by two ticks at the same time', async () => {
    await opened();
    await ended(FAILED);
    world.nowMs += 5 * MINUTE;
    await Promise.all([reconciled(), reconciled()]);
    expect(starts()).toBe(2);
  });
});

describe('open promotions', () => {
  beforeEach(() => use(newWorld(copying())));

  test('a run that the engine does not have is started, a running one is left alone', async () => {
    const { runId } = await openRun(world);
    world.engine.setState(runId, 'missing');
    expect(await reconcilePromotions(world, 0)).toMatchObject({ started: 0, problems: [] });
    expect(world.engine.starts.map(({ id }) => id)).toEqual([runId, runId]);
    await reconcilePromotions(world, 0);
    expect(world.engine.starts).toHaveLength(2);
  });

  test('more than one page is handled', async () => {
    for (let index = 0; index < 60; index += 1) {
      const { runId } = await openRun(world, world.ruleList[0], { ...SOURCE, tag: `v${index}` });
      world.engine.setState(runId, 'missing');
    }
    await reconcilePromotions(world, 0);
    expect(world.engine.starts).toHaveLength(120);
  });

  test('if the rule is gone, a running run ends by itself and an orphaned one closes its row', async () => {
    const { promotionId, runId } = await openRun(world);
    const before = await rowOf(world, promotionId);
    world.ruleList = [];
    expect(await reconcilePromotions(world, 0)).toMatchObject({ started: 0, problems: [] });
    expect(await rowOf(world, promotionId)).toEqual(before);
    world.engine.setState(runId, 'missing');
    await reconcilePromotions(world, 0);
    expect(await rowOf(world, promotionId)).toMatchObject({
      runOpen: false,
      observedGeneration: 1,
      state: 'refused',
      last: { outcome: 'refused', code: 'RULE_GONE' },
    });
    expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'interrupted' } });
    expect((await world.store.listDuePromotions()).items).toEqual([]);
    expect(world.engine.starts).toHaveLength(1);
  });

  test('paused promotions whose rule is gone are closed, and a scan starts them when the rule is back', async () => {
    await pushTo(world, 'samples/app', 'v1');
    world.paused = true;
    const { promotionId } = await openRun(world);
    const rules = world.ruleList;
    world.ruleList = [];
    world.paused = false;
    await reconcilePromotions(world, 0);
    expect(await rowOf(world, promotionId)).toMatchObject({ last: { code: 'RULE_GONE' }, observedGeneration: 1 });
    world.ruleList = rules;
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });

  test.each([
    ['no longer matches the tag', { source: { registry: REGISTRY, repositories: ['samples/*'], tags: ['release-*'] } }],
    ['has no valid destination for it', { destination: { reference: `${REGISTRY}/by-tag/.{tag}.:latest` } }],
  ])('of a rule that %s are closed', async (_, changes) => {
    const { promotionId, runId } = await openRun(world);
    world.engine.setState(runId, 'missing');
    world.ruleList = [copying(changes)];
    await reconcilePromotions(world, 0);
    expect(await rowOf(world, promotionId)).toMatchObject({
      runOpen: false,
      last: { code: 'RULE_GONE' },
      observedGeneration: 1,
    });
  });

  test('a row that cannot be written is reported, and the others are handled', async () => {
    world.paused = true;
    for (const tag of ['v1', 'v2', 'v3']) await openRun(world, world.ruleList[0], { ...SOURCE, tag });
    world.paused = false;
    const [first] = (await world.store.listDuePromotions()).items;
    const replace = world.store.replacePromotion.bind(world.store);
    world.store.replacePromotion = (row, version) =>
      row.id === first?.id ? Promise.reject(new PromoterError('ROW_TOO_LARGE', 'too large')) : replace(row, version);
    world.maxRunsPerTick = 2;
    const problems = [`promotion ${first?.id}: ROW_TOO_LARGE: too large`];
    expect(await reconcilePromotions(world, 0)).toMatchObject({ started: 2, problems });
    expect(world.engine.starts).toHaveLength(2);
  });

  test('paused promotions start after the pause, at most maxRunsPerTick', async () => {
    world.paused = true;
    world.maxRunsPerTick = 20;
    for (let index = 0; index < 30; index += 1)
      await openRun(world, world.ruleList[0], { ...SOURCE, tag: `v${index}` });
    await reconcilePromotions(world, 0);
    expect(world.engine.starts).toEqual([]);
    world.paused = false;
    expect(await reconcilePromotions(world, 5)).toMatchObject({ started: 15 });
    expect(await reconcilePromotions(world, 0)).toMatchObject({ started: 15 });
    expect(world.engine.starts).toHaveLength(30);
  });
});

describe('a failed promotion, of which a scan may see more', () => {
  beforeEach(() => use(newWorld(copying())));

  test('recorded by a clock that was years ahead is found by a scan', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await openRun(world);
    world.nowMs += 10 * 365 * 24 * 60 * MINUTE;
    await endRuns(world, { outcome: 'failed', code: 'X' });
    world.nowMs -= 10 * 365 * 24 * 60 * MINUTE;
    expect(await reconciled()).toMatchObject({ started: 0 });
    expect(await scanAll(world)).toMatchObject({ started: 1 });
    // If the clock was only a little ahead, there is no immediate retry.
    world.nowMs += 2_000;
    await endRuns(world, { outcome: 'failed', code: 'X' });
    world.nowMs -= 2_000;
    expect(await reconciled()).toMatchObject({ started: 0 });
  });

  test('is left to the scans if its tag is gone', async () => {
    await openRun(world);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
    world.nowMs += 60 * MINUTE;
    expect(await reconciled()).toMatchObject({ started: 0 });
    await pushTo(world, 'samples/app', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });
});
