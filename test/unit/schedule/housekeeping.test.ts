import { beforeEach, describe, expect, test } from '@jest/globals';
import { openJob } from '../../../src/operations/start-job.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { PromoterError, TransportError } from '../../../src/oci/index.js';
import { closePromotion } from '../../../src/rows/close-promotion.js';
import { endRunRow } from '../../../src/rows/end-run.js';
import { jobInstanceOf } from '../../../src/rows/job-instance.js';
import { raiseWanted } from '../../../src/rows/increment.js';
import { keepHouse } from '../../../src/schedule/housekeeping.js';
import { rule } from '../../support/rules.fixture.js';
import { REGISTRY, SOURCE, newWorld, openRun, rowOf, type World } from '../../support/world.js';

const DAY_MS = 24 * 3_600_000;
const PUSH = { kind: 'push' } as const;

let world: World;
beforeEach(() => {
  world = newWorld();
});
const later = (days: number): void => {
  world.nowMs += days * DAY_MS;
};
const isThere = async (runId: string): Promise<boolean> => (await world.store.getRun(runId)) !== undefined;

/** One whole run, as its orchestration leaves it: with a plan, a step and a history. */
async function runOnce(
  tag = SOURCE.tag,
  outcome: 'unchanged' | 'failed' = 'unchanged',
  code?: string,
): Promise<string> {
  const run = await openRun(world, undefined, { ...SOURCE, tag });
  await world.documents.put('documents', `plans/${run.runId}.json`, Buffer.from('x'));
  await world.documents.put('documents', `plans/${run.runId}/wave-0/1.json`, Buffer.from('x'));
  await world.documents.putIfAbsent('receipts', `${run.runId}.json`, Buffer.from('x'));
  const at = world.now().toISOString();
  await world.store.putProgress({
    runId: run.runId,
    step: 'observe',
    state: 'done',
    text: '',
    startedAt: at,
    updatedAt: at,
  });
  const { wanted } = await rowOf(world, run.promotionId);
  const result = { outcome, digest: 'sha256:a', ...(code !== undefined && { code }) };
  await closePromotion(world, run.promotionId, run.runId, { wanted, rule: run.rule, result });
  world.engine.setState(run.runId, 'ended');
  return run.runId;
}

async function expectGone(runId: string): Promise<void> {
  expect(await isThere(runId)).toBe(false);
  expect(await world.store.listProgress(runId)).toEqual([]);
  expect(await world.engine.state(runId)).toEqual({ state: 'missing' });
  const kept = [...world.documents.kept.keys()].filter((name) => name.includes(runId));
  expect(kept).toEqual([`receipts/${runId}.json`]);
}

describe('runs', () => {
  test('that ended long enough ago are removed with all that is theirs; the receipt stays', async () => {
    const runs = [await runOnce(), await runOnce(), await runOnce(), await runOnce()];
    later(29);
    expect(await keepHouse(world)).toEqual({ runs: 0, promotions: 0, standings: 0, ignored: 0, instances: 0 });
    for (const runId of runs) expect(await isThere(runId)).toBe(true);
    later(2);
    expect(await keepHouse(world)).toMatchObject({ runs: 4, promotions: 0 });
    for (const runId of runs) await expectGone(runId);
    // Its rule wants it still.
    expect((await rowOf(world, (await openRun(world)).promotionId)).last).toMatchObject({ runId: runs[3] });
    expect(await keepHouse(world)).toMatchObject({ runs: 0 });
  });

  test('of a job that was started once more are removed with both of its instances', async () => {
    const job = { operation: 'resolve', id: 'j1', reference: `${REGISTRY}/samples/app:v1` } as const;
    const at = world.now().toISOString();
    const [ended, working] = await Promise.all(
      ['one', 'two'].map(async (id) => {
        const input = { kind: 'job', runId: id, job } as const;
        const row = {
          id,
          input,
          state: 'ended',
          openedAt: at,
          startedAgainAt: at,
          finishedAt: at,
          toldAt: at,
        } as const;
        await world.store.insertRun({ ...row, result: { outcome: 'completed' } });
        world.engine.setState(id, 'ended');
        return { id, again: jobInstanceOf(row) };
      }),
    );
    if (ended === undefined || working === undefined) throw new Error('two were made');
    world.engine.setState(ended.again, 'ended');
    world.engine.setState(working.again, 'running');
    later(40);
    expect(await keepHouse(world)).toMatchObject({ runs: 1 });
    for (const id of [ended.id, ended.again]) expect(await world.engine.state(id)).toEqual({ state: 'missing' });
    expect(await isThere(working.id)).toBe(true);
  });

  test('that a promotion names are kept while that is not at rest for as long', async () => {
    const runs = [await runOnce(), await runOnce(), await runOnce()];
    later(40);
    const last = await runOnce();
    await keepHouse(world);
    expect(await Promise.all([...runs, last].map(isThere))).toEqual([false, false, true, true]);
  });

  test('that are open are never removed, however old', async () => {
    const open = await openRun(world);
    const pending = await openRun(world, undefined, { ...SOURCE, tag: 'v2' });
    world.engine.setState(open.runId, 'running');
    later(4_000);
    await keepHouse(world);
    expect(await isThere(open.runId)).toBe(true);
    expect(await isThere(pending.runId)).toBe(true);
    expect(await world.engine.state(pending.runId)).toMatchObject({ state: 'pending' });
  });

  test('whose instance is at work still, or of which nobody was told, are left alone', async () => {
    const working = await runOnce('v1');
    world.engine.setState(working, 'running');
    const untold = await runOnce('v2', 'failed');
    later(40);
    expect(await keepHouse(world)).toMatchObject({ runs: 0 });
    expect(await isThere(working)).toBe(true);
    expect(await isThere(untold)).toBe(true);
  });

  test('of jobs take their id with them: it may be used again, and not before', async () => {
    const job = parseJob({ operation: 'resolve', id: 'mine', reference: 'r.azurecr.io/a:v1' }, { messageId: 'm' });
    const first = await openJob(world, job, { kind: 'http' });
    await endRunRow(world, first.id, { outcome: 'unchanged' });
    later(29);
    await keepHouse(world);
    expect((await openJob(world, job, { kind: 'http' })).id).toBe(first.id);
    later(2);
    await keepHouse(world);
    expect(await world.store.findJob('mine')).toBeUndefined();
    expect((await openJob(world, job, { kind: 'http' })).id).not.toBe(first.id);
  });

  test('more than a page: the next ticks go on, and each goes once', async () => {
    for (let index = 0; index < 250; index += 1) await runOnce(`v${index}`);
    later(31);
    const counts = [await keepHouse(world), await keepHouse(world), await keepHouse(world), await keepHouse(world)];
    expect(counts.map(({ runs }) => runs)).toEqual([100, 100, 50, 0]);
  });

  test('a tick that is cut off anywhere, and two at once, leave nothing behind', async () => {
    const runs = [await runOnce(), await runOnce('v2')];
    later(31);
    const down = new TransportError('STORAGE_UNAVAILABLE', 'down');
    const fail = (): Promise<never> => Promise.reject(down);
    const { engine, documents, store } = world;
    const broken: Partial<World>[] = [
      { engine: { ...engine, purge: fail } },
      { documents: { ...documents, removeAll: fail } },
      { store: { ...store, removeRun: fail } },
      { store: { ...store, putNote: fail } },
    ];
    for (const each of broken) await expect(keepHouse({ ...world, ...each })).rejects.toThrow('down');
    await Promise.all([keepHouse(world), keepHouse(world), keepHouse(world)]);
    for (const runId of runs) await expectGone(runId);
  });
});

describe('what is in the way of the others', () => {
  test('one row that cannot be read keeps no other from being removed, and is told', async () => {
    const runs = [await runOnce('v1'), await runOnce('v2'), await runOnce('v3')];
    const get = world.store.getPromotion.bind(world.store);
    const [broken] = (await world.store.listPromotions({ filter: { tag: 'v2' } })).items;
    world.store.getPromotion = async (id) => {
      if (id === broken?.id) throw new PromoterError('ROW_UNREADABLE', 'no JSON');
      return get(id);
    };
    later(31);
    await expect(keepHouse(world)).rejects.toMatchObject({ code: 'ROW_UNREADABLE' });
    expect(await Promise.all(runs.map(isThere))).toEqual([false, true, false]);
  });

  test('neither does one part that always fails: each of the others goes on', async () => {
    for (let index = 0; index < 150; index += 1) await runOnce(`v${index}`);
    world.ruleList = [];
    later(31);
    world.engine.purgeEnded = () => Promise.reject(new TransportError('ENGINE_UNAVAILABLE', 'down'));
    for (let ticks = 0; ticks < 3; ticks += 1) await expect(keepHouse(world)).rejects.toThrow('down');
    expect((await world.store.listRuns()).items).toEqual([]);
    expect((await world.store.listPromotions()).items).toEqual([]);
  });
});

describe('promotions', () => {
  test('whose rule is gone, or whose tag was, are removed when they have been at rest for long; others stay', async () => {
    await runOnce('v1');
    await runOnce('v2', 'unchanged', 'SOURCE_GONE');
    await runOnce('other');
    world.ruleList = [rule({ source: { registry: SOURCE.registry, repositories: ['samples/**'], tags: ['v*'] } })];
    later(20);
    expect(await keepHouse(world)).toMatchObject({ promotions: 0 });
    later(11);
    expect(await keepHouse(world)).toMatchObject({ promotions: 2 });
    expect((await world.store.listPromotions()).items.map(({ source }) => source.tag)).toEqual(['v1']);
    world.ruleList = [];
    expect(await keepHouse(world)).toMatchObject({ promotions: 1 });
  });

  test('that are wanted again meanwhile stay', async () => {
    await runOnce();
    later(31);
    await raiseWanted(world, rule(), SOURCE, PUSH);
    world.ruleList = [];
    expect(await keepHouse(world)).toMatchObject({ promotions: 0 });
  });

  test('are left alone where the rules can’t be read; runs are not', async () => {
    await runOnce();
    later(31);
    world.rules = { ...world.rules, load: () => Promise.reject(new TransportError('RULES_UNREADABLE', 'down')) };
    expect(await keepHouse(world)).toMatchObject({ runs: 1, promotions: 0 });
  });
});

describe('what promotions stand on', () => {
  const IMAGE = { registry: SOURCE.registry, repository: SOURCE.repository };
  /** A run that sees the tag on a digest, with one child. @returns the promotion's id */
  async function runOn(root: string, tag = SOURCE.tag): Promise<string> {
    const { promotionId, runId, rule: which } = await openRun(world, undefined, { ...SOURCE, tag });
    for (const digest of [root, `${root}-child`]) {
      await world.store.addStanding({ ...IMAGE, digest }, promotionId, { root, at: world.now().toISOString() });
    }
    const { wanted } = await rowOf(world, promotionId);
    await closePromotion(world, promotionId, runId, {
      wanted,
      rule: which,
      result: { outcome: 'promoted', digest: root },
    });
    world.engine.setState(runId, 'ended');
    return promotionId;
  }
  async function standOn(): Promise<string[]> {
    const found: string[] = [];
    for (const root of ['sha256:a', 'sha256:b']) {
      for (const digest of [root, `${root}-child`]) {
        if ((await world.store.listStanding({ ...IMAGE, digest })).length > 0) found.push(digest);
      }
    }
    return found;
  }
  const A = ['sha256:a', 'sha256:a-child'];
  const B = ['sha256:b', 'sha256:b-child'];

  test('is kept for as long as the tag stands on it, however long that is', async () => {
    await runOn('sha256:a');
    later(4_000);
    expect(await keepHouse(world)).toMatchObject({ standings: 0 });
    expect(await standOn()).toEqual(A);
  });

  test('and has left is removed once no run has seen it for so long, though the tag moves each day', async () => {
    await runOn('sha256:a');
    for (let day = 0; day < 29; day += 1) {
      later(1);
      await runOn('sha256:b');
      expect(await keepHouse(world)).toMatchObject({ standings: 0 });
    }
    expect(await standOn()).toEqual([...A, ...B]);
    later(2);
    expect(await keepHouse(world)).toMatchObject({ standings: 2 });
    expect(await standOn()).toEqual(B);
  });

  test('of which a run is open, or something is wanted, is left alone', async () => {
    await runOn('sha256:a');
    await runOn('sha256:b');
    later(40);
    await raiseWanted(world, rule(), SOURCE, PUSH);
    expect(await keepHouse(world)).toMatchObject({ standings: 0 });
    expect(await standOn()).toEqual([...A, ...B]);
  });

  test('goes with its promotion: the rule is gone, or the tag is', async () => {
    await runOn('sha256:a');
    await runOn('sha256:b', 'v2');
    world.ruleList = [];
    later(31);
    expect(await keepHouse(world)).toMatchObject({ promotions: 2, standings: 4 });
    expect(await standOn()).toEqual([]);
  });

  test('as an older version wrote it is kept while there is its promotion', async () => {
    const { promotionId } = await openRun(world);
    await world.store.addStanding({ ...IMAGE, digest: 'sha256:a' }, promotionId);
    await runOn('sha256:b');
    later(40);
    expect(await keepHouse(world)).toMatchObject({ standings: 0 });
    world.ruleList = [];
    expect(await keepHouse(world)).toMatchObject({ promotions: 1, standings: 3 });
  });

  test('that a run sees again while it is looked at is kept', async () => {
    const promotionId = await runOn('sha256:a');
    await runOn('sha256:b');
    later(40);
    const removeStanding = world.store.removeStanding.bind(world.store);
    world.store.removeStanding = async (standing) => {
      const image = { ...IMAGE, digest: 'sha256:a' };
      await world.store.addStanding(image, promotionId, { root: 'sha256:a', at: world.now().toISOString() });
      return removeStanding(standing);
    };
    expect(await keepHouse(world)).toMatchObject({ standings: 1 });
    expect(await standOn()).toEqual(['sha256:a', ...B]);
  });

  test('more than a page: the next ticks go on', async () => {
    for (let index = 0; index < 60; index += 1) await runOn('sha256:a', `v${index}`);
    // These come last in the list.
    await runOn('sha256:z', 'moved');
    await runOn('sha256:a', 'moved');
    later(31);
    const counts = [await keepHouse(world), await keepHouse(world), await keepHouse(world)];
    expect(counts.map(({ standings }) => standings)).toEqual([0, 2, 0]);
  });
});

test('ignored events are kept for a week', async () => {
  await world.store.addIgnored({ at: world.now().toISOString(), reference: 'a', reason: 'b' });
  later(6);
  await world.store.addIgnored({ at: world.now().toISOString(), reference: 'c', reason: 'd' });
  later(1.5);
  expect(await keepHouse(world)).toMatchObject({ ignored: 1 });
  expect((await world.store.listIgnored()).items.map(({ reference }) => reference)).toEqual(['c']);
});

test('of many ignored events a tick removes many', async () => {
  for (let index = 0; index < 250; index += 1) {
    await world.store.addIgnored({ at: world.now().toISOString(), reference: `a:${index}`, reason: 'b' });
  }
  later(8);
  expect(await keepHouse(world)).toMatchObject({ ignored: 250 });
});

test('instances that no row leads to are forgotten by their time, those at work are not', async () => {
  await world.engine.start('runJob', 'old', {});
  world.engine.setState('old', 'ended');
  await world.engine.start('runJob', 'working', {});
  world.engine.setState('working', 'running');
  later(31);
  await world.engine.start('runJob', 'new', {});
  world.engine.setState('new', 'ended');
  expect(await keepHouse(world)).toMatchObject({ instances: 1 });
  expect(await world.engine.state('working')).toMatchObject({ state: 'running' });
  expect(await world.engine.state('new')).toMatchObject({ state: 'ended' });
  // A note of another version starts over.
  const note = await world.store.getNote('housekeeping');
  await world.store.putNote('housekeeping', '{"runsFrom": 7}', note?.version);
  later(31);
  expect(await keepHouse(world)).toMatchObject({ instances: 1 });
});
