import { beforeEach, describe, expect, test } from '@jest/globals';
import { PromoterError } from '../../../src/oci/index.js';
import { reconcilePromotions, retryFailed } from '../../../src/schedule/reconcile-promotions.js';
import { copying, endRuns, pushTo, scanAll } from '../../support/scan-world.js';
import { REGISTRY, SOURCE, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';

let world: World;

beforeEach(() => {
  world = newWorld(copying());
});

/** As a tick does it. */
async function retried(): Promise<{ started: number; problems: string[] }> {
  const { failed } = await reconcilePromotions(world, 0);
  return retryFailed(world, failed, 0);
}

describe('open promotions', () => {
  test('an instance that never came to be is started again; a run under way is left', async () => {
    const { runId } = await openRun(world);
    world.engine.setState(runId, 'missing');
    expect(await reconcilePromotions(world, 0)).toMatchObject({ started: 0, problems: [] });
    expect(world.engine.starts.map(({ id }) => id)).toEqual([runId, runId]);
    await reconcilePromotions(world, 0);
    expect(world.engine.starts).toHaveLength(2);
  });

  test('more than a page of them', async () => {
    for (let index = 0; index < 60; index += 1) {
      const { runId } = await openRun(world, world.ruleList[0], { ...SOURCE, tag: `v${index}` });
      world.engine.setState(runId, 'missing');
    }
    await reconcilePromotions(world, 0);
    expect(world.engine.starts).toHaveLength(120);
  });

  test('of a rule that is gone: a run under way ends by itself, one that is lost closes its row', async () => {
    const { promotionId, runId } = await openRun(world);
    const before = await rowOf(world, promotionId);
    world.ruleList = [];
    expect(await reconcilePromotions(world, 0)).toMatchObject({ started: 0, problems: [] });
    expect(await rowOf(world, promotionId)).toEqual(before);
    world.engine.setState(runId, 'missing');
    await reconcilePromotions(world, 0);
    expect(await rowOf(world, promotionId)).toMatchObject({
      runOpen: false,
      answered: 1,
      state: 'refused',
      last: { outcome: 'refused', code: 'RULE_GONE' },
    });
    expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'interrupted' } });
    expect((await world.store.listDuePromotions()).items).toEqual([]);
    expect(world.engine.starts).toHaveLength(1);
  });

  test('that were paused, of a rule that is gone, are closed; a scan starts them when the rule is back', async () => {
    await pushTo(world, 'samples/app', 'v1');
    world.paused = true;
    const { promotionId } = await openRun(world);
    const rules = world.ruleList;
    world.ruleList = [];
    world.paused = false;
    await reconcilePromotions(world, 0);
    expect(await rowOf(world, promotionId)).toMatchObject({ last: { code: 'RULE_GONE' }, answered: 1 });
    world.ruleList = rules;
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });

  test.each([
    ['no longer takes the tag', { source: { registry: REGISTRY, repositories: ['samples/*'], tags: ['release-*'] } }],
    ['can make no destination of it', { destination: { reference: `${REGISTRY}/by-tag/.{tag}.:latest` } }],
  ])('of a rule that %s are closed', async (_, changes) => {
    const { promotionId, runId } = await openRun(world);
    world.engine.setState(runId, 'missing');
    world.ruleList = [copying(changes)];
    await reconcilePromotions(world, 0);
    expect(await rowOf(world, promotionId)).toMatchObject({ runOpen: false, last: { code: 'RULE_GONE' }, answered: 1 });
  });

  test('one that cannot be written is reported, and the others have their turn', async () => {
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

  test('that were paused start when it is lifted, no more than the schedule may', async () => {
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

describe('what failed', () => {
  const MINUTE_MS = 60_000;

  test('is tried again with growing pauses', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await openRun(world);
    for (const minutes of [5, 10, 20]) {
      await endRuns(world, { outcome: 'failed', code: 'X' });
      world.nowMs += (minutes - 1) * MINUTE_MS;
      expect(await retried()).toMatchObject({ started: 0 });
      world.nowMs += MINUTE_MS;
      expect(await retried()).toMatchObject({ started: 1 });
    }
  });

  test('by a clock that was years ahead is not left alone for years: a scan sees it', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await openRun(world);
    world.nowMs += 10 * 365 * 24 * 60 * MINUTE_MS;
    await endRuns(world, { outcome: 'failed', code: 'X' });
    world.nowMs -= 10 * 365 * 24 * 60 * MINUTE_MS;
    expect(await retried()).toMatchObject({ started: 0 });
    expect(await scanAll(world)).toMatchObject({ started: 1 });
    // By one that is a little ahead, it is no reason to try again at once.
    world.nowMs += 2_000;
    await endRuns(world, { outcome: 'failed', code: 'X' });
    world.nowMs -= 2_000;
    expect(await retried()).toMatchObject({ started: 0 });
  });

  test('since its tag is gone is left to the scans', async () => {
    await openRun(world);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
    world.nowMs += 60 * MINUTE_MS;
    expect(await retried()).toMatchObject({ started: 0 });
    await pushTo(world, 'samples/app', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });
});
