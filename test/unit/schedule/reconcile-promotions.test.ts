import { beforeEach, describe, expect, test } from '@jest/globals';
import { PromoterError } from '../../../src/oci/index.js';
import { reconcilePromotions, retryFailed } from '../../../src/schedule/reconcile-promotions.js';
import { copying, endRuns, pushTo, scanAll } from '../../support/scan-world.js';
import { REGISTRY, SOURCE, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';

let world: World;

beforeEach(() => {
  world = newWorld(copying());
});

/** What a tick does. */
async function retried(): Promise<{ started: number; problems: string[] }> {
  const { failed } = await reconcilePromotions(world, 0);
  return retryFailed(world, failed, 0);
}

describe('open promotions', () => {
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

describe('a failed promotion', () => {
  const MINUTE_MS = 60_000;

  test('recorded by a clock that was years ahead is found by a scan', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await openRun(world);
    world.nowMs += 10 * 365 * 24 * 60 * MINUTE_MS;
    await endRuns(world, { outcome: 'failed', code: 'X' });
    world.nowMs -= 10 * 365 * 24 * 60 * MINUTE_MS;
    expect(await retried()).toMatchObject({ started: 0 });
    expect(await scanAll(world)).toMatchObject({ started: 1 });
    // If the clock was only a little ahead, there is no immediate retry.
    world.nowMs += 2_000;
    await endRuns(world, { outcome: 'failed', code: 'X' });
    world.nowMs -= 2_000;
    expect(await retried()).toMatchObject({ started: 0 });
  });

  test('is left to the scans if its tag is gone', async () => {
    await openRun(world);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
    world.nowMs += 60 * MINUTE_MS;
    expect(await retried()).toMatchObject({ started: 0 });
    await pushTo(world, 'samples/app', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });
});
