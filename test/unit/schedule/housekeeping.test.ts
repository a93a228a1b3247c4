import { beforeEach, describe, expect, test } from '@jest/globals';
import { openJob } from '../../../src/operations/start-job.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { PromoterError, TransportError } from '../../../src/oci/index.js';
import { closePromotion, incrementGeneration } from '../../../src/rows/generation.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import { jobInstanceOf } from '../../../src/rows/job-instance.js';
import { removeOld } from '../../../src/schedule/housekeeping.js';
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

/** One complete run, with a plan, a step and a history. */
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
  const { generation } = await rowOf(world, run.promotionId);
  const result = { outcome, digest: 'sha256:a', ...(code !== undefined && { code }) };
  await closePromotion(world, run.promotionId, run.runId, { generation, rule: run.rule, result });
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

describe('housekeeping of runs', () => {
  test('an old run is removed with its documents, steps and history, but its receipt stays', async () => {
    const runs = [await runOnce(), await runOnce(), await runOnce(), await runOnce()];
    later(29);
    expect(await removeOld(world)).toEqual({ runs: 0, promotions: 0, subjectIndex: 0, ignored: 0, instances: 0 });
    for (const runId of runs) expect(await isThere(runId)).toBe(true);
    later(2);
    expect(await removeOld(world)).toMatchObject({ runs: 4, promotions: 0 });
    for (const runId of runs) await expectGone(runId);
    // A rule still matches it.
    expect((await rowOf(world, (await openRun(world)).promotionId)).last).toMatchObject({ runId: runs[3] });
    expect(await removeOld(world)).toMatchObject({ runs: 0 });
  });

  test('a job that was started twice is removed with both instances', async () => {
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
          eventSentAt: at,
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
    expect(await removeOld(world)).toMatchObject({ runs: 1 });
    for (const id of [ended.id, ended.again]) expect(await world.engine.state(id)).toEqual({ state: 'missing' });
    expect(await isThere(working.id)).toBe(true);
  });

  test('a run that a promotion refers to is kept until the promotion had no run for as long', async () => {
    const runs = [await runOnce(), await runOnce(), await runOnce()];
    later(40);
    const last = await runOnce();
    await removeOld(world);
    expect(await Promise.all([...runs, last].map(isThere))).toEqual([false, false, true, true]);
  });

  test('an open run is never removed, however old it is', async () => {
    const open = await openRun(world);
    const pending = await openRun(world, undefined, { ...SOURCE, tag: 'v2' });
    world.engine.setState(open.runId, 'running');
    later(4_000);
    await removeOld(world);
    expect(await isThere(open.runId)).toBe(true);
    expect(await isThere(pending.runId)).toBe(true);
    expect(await world.engine.state(pending.runId)).toMatchObject({ state: 'pending' });
  });

  test('a run is kept while its instance still works or its result event is unsent', async () => {
    const working = await runOnce('v1');
    world.engine.setState(working, 'running');
    const untold = await runOnce('v2', 'failed');
    later(40);
    expect(await removeOld(world)).toMatchObject({ runs: 0 });
    expect(await isThere(working)).toBe(true);
    expect(await isThere(untold)).toBe(true);
  });

  test('a job id can be used again once its run is removed, and not before', async () => {
    const job = parseJob({ operation: 'resolve', id: 'mine', reference: 'r.azurecr.io/a:v1' }, { messageId: 'm' });
    const first = await openJob(world, job, { kind: 'http' });
    await endRunRow(world, first.id, { outcome: 'unchanged' });
    later(29);
    await removeOld(world);
    expect((await openJob(world, job, { kind: 'http' })).id).toBe(first.id);
    later(2);
    await removeOld(world);
    expect(await world.store.findJob('mine')).toBeUndefined();
    expect((await openJob(world, job, { kind: 'http' })).id).not.toBe(first.id);
  });

  test('if there is more than a page of runs, the next ticks continue, and each run is removed once', async () => {
    for (let index = 0; index < 250; index += 1) await runOnce(`v${index}`);
    later(31);
    const counts = [await removeOld(world), await removeOld(world), await removeOld(world), await removeOld(world)];
    expect(counts.map(({ runs }) => runs)).toEqual([100, 100, 50, 0]);
  });

  test('nothing is left behind after a tick that was cut off anywhere, or after two ticks at once', async () => {
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
    for (const each of broken) await expect(removeOld({ ...world, ...each })).rejects.toThrow('down');
    await Promise.all([removeOld(world), removeOld(world), removeOld(world)]);
    for (const runId of runs) await expectGone(runId);
  });
});

describe('errors in housekeeping', () => {
  test('a row that cannot be read is reported, and the others are removed', async () => {
    const runs = [await runOnce('v1'), await runOnce('v2'), await runOnce('v3')];
    const get = world.store.getPromotion.bind(world.store);
    const [broken] = (await world.store.listPromotions({ filter: { tag: 'v2' } })).items;
    world.store.getPromotion = async (id) => {
      if (id === broken?.id) throw new PromoterError('ROW_UNREADABLE', 'no JSON');
      return get(id);
    };
    later(31);
    await expect(removeOld(world)).rejects.toMatchObject({ code: 'ROW_UNREADABLE' });
    expect(await Promise.all(runs.map(isThere))).toEqual([false, true, false]);
  });

  test('a part that always fails does not stop the others', async () => {
    for (let index = 0; index < 150; index += 1) await runOnce(`v${index}`);
    world.ruleList = [];
    later(31);
    world.engine.purgeEnded = () => Promise.reject(new TransportError('ENGINE_UNAVAILABLE', 'down'));
    for (let ticks = 0; ticks < 3; ticks += 1) await expect(removeOld(world)).rejects.toThrow('down');
    expect((await world.store.listRuns()).items).toEqual([]);
    expect((await world.store.listPromotions()).items).toEqual([]);
  });
});

describe('housekeeping of promotions', () => {
  test('a promotion whose rule or tag is gone is removed after a long time without a run; others stay', async () => {
    await runOnce('v1');
    await runOnce('v2', 'unchanged', 'SOURCE_GONE');
    await runOnce('other');
    world.ruleList = [rule({ source: { registry: SOURCE.registry, repositories: ['samples/**'], tags: ['v*'] } })];
    later(20);
    expect(await removeOld(world)).toMatchObject({ promotions: 0 });
    later(11);
    expect(await removeOld(world)).toMatchObject({ promotions: 2 });
    expect((await world.store.listPromotions()).items.map(({ source }) => source.tag)).toEqual(['v1']);
    world.ruleList = [];
    expect(await removeOld(world)).toMatchObject({ promotions: 1 });
  });

  test('a promotion that is triggered again in the meantime stays', async () => {
    await runOnce();
    later(31);
    await incrementGeneration(world, rule(), SOURCE, PUSH);
    world.ruleList = [];
    expect(await removeOld(world)).toMatchObject({ promotions: 0 });
  });

  test('if the rules cannot be read, runs are removed and promotions are not', async () => {
    await runOnce();
    later(31);
    world.rules = { ...world.rules, load: () => Promise.reject(new TransportError('RULES_UNREADABLE', 'down')) };
    expect(await removeOld(world)).toMatchObject({ runs: 1, promotions: 0 });
  });
});

describe('housekeeping of the subject index', () => {
  const IMAGE = { registry: SOURCE.registry, repository: SOURCE.repository };
  /** A run that reads the tag at a digest with one child. @returns the promotion's id */
  async function runOn(root: string, tag = SOURCE.tag): Promise<string> {
    const { promotionId, runId, rule: which } = await openRun(world, undefined, { ...SOURCE, tag });
    for (const digest of [root, `${root}-child`]) {
      await world.store.addToSubjectIndex({ ...IMAGE, digest }, promotionId, { root, at: world.now().toISOString() });
    }
    const { generation } = await rowOf(world, promotionId);
    await closePromotion(world, promotionId, runId, {
      generation,
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
        if ((await world.store.listPromotionsOfSubject({ ...IMAGE, digest })).length > 0) found.push(digest);
      }
    }
    return found;
  }
  const A = ['sha256:a', 'sha256:a-child'];
  const B = ['sha256:b', 'sha256:b-child'];

  test('an entry is kept as long as the tag has its digest', async () => {
    await runOn('sha256:a');
    later(4_000);
    expect(await removeOld(world)).toMatchObject({ subjectIndex: 0 });
    expect(await standOn()).toEqual(A);
  });

  test('an entry of a former digest is removed after the retention period, even if the tag moves every day', async () => {
    await runOn('sha256:a');
    for (let day = 0; day < 29; day += 1) {
      later(1);
      await runOn('sha256:b');
      expect(await removeOld(world)).toMatchObject({ subjectIndex: 0 });
    }
    expect(await standOn()).toEqual([...A, ...B]);
    later(2);
    expect(await removeOld(world)).toMatchObject({ subjectIndex: 2 });
    expect(await standOn()).toEqual(B);
  });

  test('entries of a promotion with an open or due run are kept', async () => {
    await runOn('sha256:a');
    await runOn('sha256:b');
    later(40);
    await incrementGeneration(world, rule(), SOURCE, PUSH);
    expect(await removeOld(world)).toMatchObject({ subjectIndex: 0 });
    expect(await standOn()).toEqual([...A, ...B]);
  });

  test('entries are removed with their promotion when its rule or tag is gone', async () => {
    await runOn('sha256:a');
    await runOn('sha256:b', 'v2');
    world.ruleList = [];
    later(31);
    expect(await removeOld(world)).toMatchObject({ promotions: 2, subjectIndex: 4 });
    expect(await standOn()).toEqual([]);
  });

  test('an entry that a run writes again during housekeeping is kept', async () => {
    const promotionId = await runOn('sha256:a');
    await runOn('sha256:b');
    later(40);
    const removeFromSubjectIndex = world.store.removeFromSubjectIndex.bind(world.store);
    world.store.removeFromSubjectIndex = async (standing) => {
      const image = { ...IMAGE, digest: 'sha256:a' };
      await world.store.addToSubjectIndex(image, promotionId, { root: 'sha256:a', at: world.now().toISOString() });
      return removeFromSubjectIndex(standing);
    };
    expect(await removeOld(world)).toMatchObject({ subjectIndex: 1 });
    expect(await standOn()).toEqual(['sha256:a', ...B]);
  });

  test('if there is more than a page of entries, the next ticks continue', async () => {
    for (let index = 0; index < 60; index += 1) await runOn('sha256:a', `v${index}`);
    // These are the last in the list.
    await runOn('sha256:z', 'moved');
    await runOn('sha256:a', 'moved');
    later(31);
    const counts = [await removeOld(world), await removeOld(world), await removeOld(world)];
    expect(counts.map(({ subjectIndex }) => subjectIndex)).toEqual([0, 2, 0]);
  });
});

test('ignored events are kept for a week', async () => {
  await world.store.addIgnored({ at: world.now().toISOString(), reference: 'a', reason: 'b' });
  later(6);
  await world.store.addIgnored({ at: world.now().toISOString(), reference: 'c', reason: 'd' });
  later(1.5);
  expect(await removeOld(world)).toMatchObject({ ignored: 1 });
  expect((await world.store.listIgnored()).items.map(({ reference }) => reference)).toEqual(['c']);
});

test('one tick removes many ignored events', async () => {
  for (let index = 0; index < 250; index += 1) {
    await world.store.addIgnored({ at: world.now().toISOString(), reference: `a:${index}`, reason: 'b' });
  }
  later(8);
  expect(await removeOld(world)).toMatchObject({ ignored: 250 });
});

test('instances without a row are purged by their age, running ones are not', async () => {
  await world.engine.start('runJob', 'old', {});
  world.engine.setState('old', 'ended');
  await world.engine.start('runJob', 'working', {});
  world.engine.setState('working', 'running');
  later(31);
  await world.engine.start('runJob', 'new', {});
  world.engine.setState('new', 'ended');
  expect(await removeOld(world)).toMatchObject({ instances: 1 });
  expect(await world.engine.state('working')).toMatchObject({ state: 'running' });
  expect(await world.engine.state('new')).toMatchObject({ state: 'ended' });
  // A note of another version starts again.
  const note = await world.store.getNote('housekeeping');
  await world.store.putNote('housekeeping', '{"runs": 7}', note?.version);
  later(31);
  expect(await removeOld(world)).toMatchObject({ instances: 1 });
});
