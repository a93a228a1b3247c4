import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { RegistryError, TransportError } from '../../../src/oci/index.js';
import type { RunResult } from '../../../src/runs/rows.js';
import { closeRun } from '../../../src/runs/close-run.js';
import type { ResultOf, walkScheduleContract } from '../../../src/steps/contracts.js';
import { observeStep } from '../../../src/steps/observe.js';
import { STEP_LIMITS } from '../../../src/steps/limits.js';
import { tagDestinationStep } from '../../../src/steps/tag-destination.js';
import { walkScheduleStep } from '../../../src/steps/walk-schedule.js';
import { rule } from '../promotion/rules.fixture.js';
import { pushArtifact, pushImage } from './images.js';
import { REGISTRY, SOURCE, newCall, newWorld, openRun, rowOf, runOf, type World } from './world.js';

type Walked = ResultOf<typeof walkScheduleContract>;
const OTHER = 'other.azurecr.io';
/** Copies, and no more. */
const promoting = (changes: Record<string, unknown> = {}) =>
  rule({ existing: 'promote', sign: [], sbom: { formats: [] }, ...changes });

let world: World;

beforeEach(() => {
  world = newWorld(promoting());
});

const walk = (cursor: string | null = null, started = 0): Promise<Walked> =>
  walkScheduleStep(world, { cursor, started }, newCall());
const push = (repository: string, tag: string, registry = REGISTRY) =>
  pushImage(world.registries.repository(registry, repository), { tag, content: `${repository}:${tag}` });
/** `repository:tag` of each promotion that was started, sorted. */
async function started(): Promise<string[]> {
  const rows = await Promise.all(
    world.engine.starts.map(({ input }) => rowOf(world, (input as { promotionId: string }).promotionId)),
  );
  return rows.map(({ source }) => `${source.repository}:${source.tag}`).sort();
}
/** Ends each open run with a result, as if it had seen the tag as it stands. */
async function endAll(result: Partial<RunResult> & { outcome: RunResult['outcome'] }): Promise<void> {
  for (const row of (await world.store.listOpenPromotions({ size: 100 })).items) {
    const from = world.registries.repository(row.source.registry, row.source.repository);
    const digest = from.tags.get(row.source.tag);
    const { runId = '' } = row;
    world.engine.setState(runId, 'ended');
    await closeRun(world, row.id, runId, {
      wanted: row.wanted,
      result: { ...(digest !== undefined && { digest }), ...result },
      rule: world.ruleList.find(({ name }) => name === row.rule) ?? rule(),
    });
  }
}

describe('a tick', () => {
  test('starts what no promotion stands for, of what the rules name', async () => {
    await push('samples/app', 'v1');
    await push('samples/app', 'v2');
    await push('samples/deep/er', 'latest');
    await push('elsewhere', 'v1');
    expect(await walk()).toMatchObject({ cursor: null, started: 3, looked: 3 });
    expect(await started()).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/deep/er:latest']);
  });

  test('where nothing differs, starts nothing', async () => {
    const { digest } = await push('samples/app', 'v1');
    await walk();
    await endAll({ outcome: 'promoted' });
    world.registries.repository(REGISTRY, 'staging/samples/app').tags.set('v1', digest);
    await pushImage(world.registries.repository(REGISTRY, 'staging/samples/app'), {
      tag: 'v1',
      content: 'samples/app:v1',
    });
    expect(await walk()).toMatchObject({ started: 0, looked: 1 });
    expect(world.engine.starts).toHaveLength(1);
  });

  test('repairs: a destination tag that is gone, or that leads elsewhere; a source tag that moved', async () => {
    await push('samples/app', 'v1');
    await walk();
    await endAll({ outcome: 'promoted' });
    expect(await walk()).toMatchObject({ started: 1 });
    await endAll({ outcome: 'promoted' });
    await push('staging/samples/app', 'v1');
    expect(await walk()).toMatchObject({ started: 1 });
    await endAll({ outcome: 'refused' });
    await pushImage(world.registries.repository(REGISTRY, 'samples/app'), { tag: 'v1', content: 'moved' });
    expect(await walk()).toMatchObject({ started: 1 });
  });

  test.each(['refused', 'observed', 'cancelled'] as const)('leaves %s alone', async (outcome) => {
    await push('samples/app', 'v1');
    await walk();
    await endAll({ outcome });
    expect(await walk()).toMatchObject({ started: 0 });
  });

  test('tries what failed again, with growing pauses', async () => {
    await push('samples/app', 'v1');
    await walk();
    await endAll({ outcome: 'failed', code: 'X' });
    expect(await walk()).toMatchObject({ started: 0 });
    world.nowMs += 6 * 60_000;
    expect(await walk()).toMatchObject({ started: 1 });
    await endAll({ outcome: 'failed', code: 'X' });
    world.nowMs += 6 * 60_000;
    expect(await walk()).toMatchObject({ started: 0 });
  });

  test('leaves a tag alone that names a referrer, once that is known', async () => {
    const source = world.registries.repository(REGISTRY, SOURCE.repository);
    const subject = await pushImage(source);
    await pushArtifact(source, 'application/x-report', { subject, tag: SOURCE.tag });
    expect(await walk()).toMatchObject({ started: 1 });
    const observed = await observeStep(world, await openRun(world), newCall());
    if (observed.state !== 'nothing' || observed.digest === undefined) throw new Error('it is no referrer');
    const { code, digest } = observed;
    await endAll({ outcome: 'unchanged', code, digest });
    expect(await walk()).toMatchObject({ started: 0, looked: 1 });
  });

  test('leaves a destination that another owns alone, until that rule is gone', async () => {
    await push('samples/app', 'v1');
    const owner = promoting({ name: 'owner', source: { registry: REGISTRY, repositories: ['samples/app'] } });
    world.ruleList = [owner, promoting()];
    const root = await world.registries.repository(REGISTRY, 'samples/app').resolve('v1');
    const run = await openRun(world, owner);
    await pushImage(world.registries.repository(REGISTRY, 'staging/samples/app'), { content: 'samples/app:v1' });
    await tagDestinationStep(world, { ...run, root }, newCall());
    await endAll({ outcome: 'promoted' });
    expect(await walk()).toMatchObject({ started: 1 });
    await endAll({ outcome: 'refused', code: 'DESTINATION_TAKEN' });
    expect(await walk()).toMatchObject({ started: 0 });
    world.ruleList = [promoting()];
    expect(await walk()).toMatchObject({ started: 1 });
  });

  test('a tag of which the rule can make no destination is told, and keeps it from no other', async () => {
    world.ruleList = [promoting({ destination: { reference: `${REGISTRY}/by-tag/{tag}:latest` } })];
    for (const tag of ['V1', 'v2', 'v3']) await push('samples/app', tag);
    const walked = await walk();
    expect(walked).toMatchObject({ started: 2, looked: 3 });
    expect(walked.problems).toEqual([expect.stringContaining('REFERENCE_INVALID')]);
    expect(await started()).toEqual(['samples/app:v2', 'samples/app:v3']);
  });

  test('looks only at rules that the schedule triggers', async () => {
    world.ruleList = [promoting({ triggers: ['push'] })];
    await push('samples/app', 'v1');
    expect(await walk()).toEqual({ cursor: null, started: 0, looked: 0, problems: [] });
  });
});

describe('open rows', () => {
  test('an instance that never came to be is started again; a run under way is left', async () => {
    await push('samples/app', 'v1');
    const { runId } = await openRun(world);
    world.engine.setState(runId, 'missing');
    await walk();
    expect(world.engine.starts.map(({ id }) => id)).toEqual([runId, runId]);
    await walk();
    expect(world.engine.starts).toHaveLength(2);
  });

  test('more than a page of them', async () => {
    for (let index = 0; index < 60; index += 1) {
      const { runId } = await openRun(world, world.ruleList[0], { ...SOURCE, tag: `v${index}` });
      world.engine.setState(runId, 'missing');
    }
    await walk();
    expect(world.engine.starts).toHaveLength(120);
  });

  test('of a rule that is gone: a run under way ends by itself, one that is lost brings its row to rest', async () => {
    const { promotionId, runId } = await openRun(world);
    const before = await rowOf(world, promotionId);
    world.ruleList = [];
    expect(await walk()).toMatchObject({ cursor: null, started: 0 });
    expect(await rowOf(world, promotionId)).toEqual(before);
    world.engine.setState(runId, 'missing');
    await walk();
    expect(await rowOf(world, promotionId)).toMatchObject({
      runOpen: false,
      answered: 1,
      state: 'refused',
      last: { outcome: 'refused', code: 'RULE_GONE' },
    });
    expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { code: 'RUN_LOST' } });
    expect((await world.store.listOpenPromotions()).items).toEqual([]);
    expect(world.engine.starts).toHaveLength(1);
  });

  test('that were paused, of a rule that is gone, come to rest; they begin anew when it is back', async () => {
    await push('samples/app', 'v1');
    world.paused = true;
    const { promotionId } = await openRun(world);
    const rules = world.ruleList;
    world.ruleList = [];
    world.paused = false;
    await walk();
    expect(await rowOf(world, promotionId)).toMatchObject({ last: { code: 'RULE_GONE' }, answered: 1 });
    world.ruleList = rules;
    expect(await walk()).toMatchObject({ started: 1 });
  });

  test.each([
    ['no longer takes the tag', { source: { registry: REGISTRY, repositories: ['samples/*'], tags: ['release-*'] } }],
    ['can make no destination of it', { destination: { reference: `${REGISTRY}/by-tag/.{tag}.:latest` } }],
  ])('of a rule that %s come to rest, and keep the walk from no other', async (_, changes) => {
    await push('samples/app', 'v1');
    const { promotionId, runId } = await openRun(world);
    world.engine.setState(runId, 'missing');
    await push('samples/other', 'release-1');
    world.ruleList = [
      promoting(changes),
      promoting({ name: 'other', destination: { reference: `${REGISTRY}/o/{repository}:{tag}` } }),
    ];
    await walk();
    expect(await rowOf(world, promotionId)).toMatchObject({ runOpen: false, last: { code: 'RULE_GONE' }, answered: 1 });
    expect(await started()).toContain('samples/other:release-1');
  });
});

describe('paused', () => {
  test('nothing is started, and nothing is wanted over and over', async () => {
    await push('samples/app', 'v1');
    world.paused = true;
    const { promotionId } = await openRun(world);
    await walk();
    await walk();
    expect(world.engine.starts).toEqual([]);
    expect((await rowOf(world, promotionId)).wanted).toBe(1);
    world.paused = false;
    expect(await walk()).toMatchObject({ started: 1 });
    expect(world.engine.starts).toHaveLength(1);
  });

  test('when it is lifted, a tick starts so many and no more; the next one goes on', async () => {
    world.paused = true;
    world.maxRunsPerTick = 20;
    const count = 30;
    for (let index = 0; index < count; index += 1) {
      await openRun(world, world.ruleList[0], { ...SOURCE, tag: `v${index}` });
    }
    world.paused = false;
    await walk();
    expect(world.engine.starts).toHaveLength(20);
    await walk();
    expect(world.engine.starts).toHaveLength(count);
  });
});

describe('what was there on the first day', () => {
  beforeEach(() => {
    world.ruleList = [rule({ existing: 'ignore' })];
  });

  test('is left alone; what comes or moves later is promoted', async () => {
    await push('samples/app', 'v1');
    await push('samples/app', 'v2');
    expect(await walk()).toMatchObject({ started: 0, looked: 2 });
    await push('samples/app', 'v3');
    await pushImage(world.registries.repository(REGISTRY, 'samples/app'), { tag: 'v1', content: 'moved' });
    expect(await walk()).toMatchObject({ started: 2 });
    expect(await started()).toEqual(['samples/app:v1', 'samples/app:v3']);
  });

  test('is what was there when the rule was first read, paused or not', async () => {
    world.paused = true;
    await push('samples/app', 'v1');
    await walk();
    await push('samples/app', 'v2');
    world.paused = false;
    await walk();
    expect(await started()).toEqual(['samples/app:v2']);
  });

  test('a repository that is not there yet: what comes to it is new', async () => {
    world.ruleList = [rule({ source: { registry: REGISTRY, repositories: ['samples/late', 'samples/app'] } })];
    await push('samples/app', 'v1');
    expect(await walk()).toMatchObject({ started: 0, looked: 1, problems: [] });
    await push('samples/late', 'v1');
    await walk();
    expect(await started()).toEqual(['samples/late:v1']);
  });

  test('cannot be known while one repository cannot be read: nothing is started', async () => {
    await push('samples/app', 'v1');
    await push('samples/secret', 'v1');
    world.listingFaults.set(`${REGISTRY}/samples/secret`, denied('samples/secret'));
    const walked = await walk();
    expect(walked).toMatchObject({ started: 0, looked: 0 });
    expect(walked.problems).toEqual([expect.stringContaining('DENIED')]);
  });

  test('a rule whose source changes begins anew', async () => {
    await push('samples/app', 'v1');
    await walk();
    world.ruleList = [rule({ existing: 'ignore', source: { registry: REGISTRY, repositories: ['**'] } })];
    await push('more/app', 'v1');
    expect(await walk()).toMatchObject({ started: 0, looked: 2 });
  });
});

function denied(what: string): RegistryError {
  return new RegistryError(`${what}: denied`, {
    method: 'GET',
    url: `https://${what}`,
    status: 403,
    registryCodes: ['DENIED'],
  });
}

describe('what cannot be reached', () => {
  test('a registry that is down keeps the walk from no other rule, and is told', async () => {
    world.ruleList = [
      promoting({ name: 'down', source: { registry: OTHER, repositories: ['**'] } }),
      promoting({ name: 'up' }),
    ];
    await push('samples/app', 'v1');
    world.listingFaults.set(OTHER, new TransportError('CONNECT_FAILED', `${OTHER} cannot be reached`));
    const walked = await walk();
    expect(walked).toMatchObject({ cursor: null, started: 1 });
    expect(walked.problems).toEqual([`rule down: CONNECT_FAILED: ${OTHER} cannot be reached`]);
  });

  test('a first reading that takes too long is that rule’s problem', async () => {
    world.ruleList = [
      rule({ name: 'slow', source: { registry: OTHER, repositories: ['**'] } }),
      promoting({ name: 'up' }),
    ];
    await push('samples/app', 'v1');
    world.listingFaults.set(OTHER, new DOMException('aborted', 'TimeoutError'));
    const timeout = jest.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    const walked = await walk();
    timeout.mockRestore();
    expect(walked).toMatchObject({ started: 1, problems: [expect.stringContaining('rule slow: TIMEOUT')] });
  });

  test('a repository that is not there, or may not be read, keeps the walk from no other', async () => {
    world.ruleList = [
      promoting({
        source: { registry: REGISTRY, repositories: ['samples/a', 'samples/Wrong', 'samples/secret', 'samples/z'] },
      }),
    ];
    await push('samples/secret', 'v1');
    await push('samples/z', 'v1');
    world.listingFaults.set(`${REGISTRY}/samples/secret`, denied('samples/secret'));
    const walked = await walk();
    expect(walked).toMatchObject({ started: 1 });
    expect(walked.problems).toEqual([expect.stringContaining('samples/secret: denied')]);
    expect(await started()).toEqual(['samples/z:v1']);
  });

  test('rules that cannot be read fail the stretch', async () => {
    world.rules.load = async () => Promise.reject(new TransportError('RULES_UNREADABLE', 'gone'));
    await expect(walk()).rejects.toMatchObject({ code: 'RULES_UNREADABLE' });
  });

  test('told to stop, it stops', async () => {
    await push('samples/app', 'v1');
    world.registries.repository(REGISTRY, 'staging/samples/app').fault = () => AbortSignal.abort().throwIfAborted();
    await walk();
    await endAll({ outcome: 'promoted' });
    await expect(walk()).rejects.toThrow(/abort/);
  });
});

describe('a long walk', () => {
  /** Time runs while tags are looked at. */
  function slow(msPerTag: number): void {
    const get = world.store.getPromotion.bind(world.store);
    world.store.getPromotion = (id) => {
      world.nowMs += msPerTag;
      return get(id);
    };
  }
  async function walkAll(): Promise<{ stretches: number; looked: number }> {
    let cursor: string | null = null;
    let looked = 0;
    for (let stretches = 1; stretches < 100; stretches += 1) {
      const walked: Walked = await walk(cursor);
      looked += walked.looked;
      ({ cursor } = walked);
      if (cursor === null) return { stretches, looked };
    }
    throw new Error('it does not end');
  }

  test('goes on where it stopped, within a repository: each tag once', async () => {
    for (let index = 0; index < 250; index += 1) await push('samples/app', `v${String(index).padStart(3, '0')}`);
    // Each row is read twice: before it is raised, and as it is.
    slow(STEP_LIMITS.walkMs / 150);
    expect(await walkAll()).toEqual({ stretches: 3, looked: 250 });
    expect(new Set(await started()).size).toBe(250);
  });

  test('goes on where it stopped, between small repositories and rules', async () => {
    world.ruleList = [
      promoting(),
      promoting({ name: 'second', destination: { reference: `${OTHER}/{repository}:{tag}` } }),
    ];
    for (let index = 0; index < 20; index += 1) await push(`samples/app${String(index).padStart(2, '0')}`, 'v1');
    slow(STEP_LIMITS.walkMs / 15);
    const { stretches, looked } = await walkAll();
    expect(looked).toBe(40);
    expect(stretches).toBeGreaterThan(2);
    expect(world.engine.starts).toHaveLength(40);
  });

  test('gets on, however slow it is to begin', async () => {
    for (let index = 0; index < 5; index += 1) await push(`samples/app${index}`, 'v1');
    slow(10 * STEP_LIMITS.walkMs);
    expect(await walkAll()).toMatchObject({ looked: 5 });
  });

  test('ends where its rule is gone meanwhile', async () => {
    const cursor = JSON.stringify({ at: 'rule', rule: 'gone', repository: 'a' });
    expect(await walk(cursor)).toMatchObject({ cursor: null, looked: 0 });
  });

  test('starts so many runs in a tick and no more', async () => {
    for (let index = 0; index < 40; index += 1) await push('samples/app', `v${index}`);
    world.maxRunsPerTick = 25;
    expect(await walk(null, 15)).toMatchObject({ cursor: null, started: 25 });
    expect(world.engine.starts).toHaveLength(10);
  });
});
