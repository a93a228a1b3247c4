import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { PromoterError, RegistryError, TransportError } from '../../../src/oci/index.js';
import type { RunResult } from '../../../src/rows/run-row.js';
import { closePromotion } from '../../../src/rows/close-promotion.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { tagDestinationStep } from '../../../src/promotions/tag-destination.js';
import { walkScheduleStep, SCAN_MS, SCANNED_ROWS, type Walked } from '../../../src/schedule/walk-schedule.js';
import { fingerprint } from '../../../src/rules/fingerprint.js';
import { promotionId } from '../../../src/rules/promotion-id.js';
import { writeGatePassed } from '../../../src/rows/owned-promotion.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE, callOf, newCall, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';

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
    await closePromotion(world, row.id, runId, {
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

  test('a rule that starts to demand evidence is asked for what is in sync, once for each version of the rule', async () => {
    const { digest } = await push('samples/app', 'v1');
    await walk();
    await endAll({ outcome: 'promoted' });
    await pushImage(world.registries.repository(REGISTRY, 'staging/samples/app'), {
      tag: 'v1',
      content: 'samples/app:v1',
    });
    const gated = promoting({ verify: { signatures: [{ format: 'notary', trustStore: 'x' }] } });
    world.ruleList = [gated];
    expect(await walk()).toMatchObject({ started: 1 });
    // A run of a version that asked no gate where nothing differed.
    await endAll({ outcome: 'unchanged' });
    expect(await walk()).toMatchObject({ started: 1 });
    const [row] = (await world.store.listOpenPromotions({ size: 1 })).items;
    await writeGatePassed(world, row?.id ?? '', row?.runId ?? '', { digest, fingerprint: fingerprint(gated) });
    await endAll({ outcome: 'unchanged' });
    expect(await walk()).toMatchObject({ started: 0 });
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

  test.each(['failed', 'refused', 'cancelled', 'observed'] as const)(
    'looks anew at what %s where its rule has changed',
    async (outcome) => {
      await push('samples/app', 'v1');
      await walk();
      await endAll({ outcome, code: outcome === 'failed' ? 'SOURCE_NOT_WRITABLE' : 'REGISTRY_NOT_ALLOWED' });
      expect(await walk()).toMatchObject({ started: 0 });
      world.ruleList = [promoting({ attachTo: 'destination' })];
      expect(await walk()).toMatchObject({ started: 1 });
    },
  );

  test('what failed by a clock that was years ahead is not left alone for years', async () => {
    await push('samples/app', 'v1');
    await walk();
    world.nowMs += 10 * 365 * 24 * 3_600_000;
    await endAll({ outcome: 'failed', code: 'X' });
    world.nowMs -= 10 * 365 * 24 * 3_600_000;
    expect(await walk()).toMatchObject({ started: 1 });
    // By one that is a little ahead, it is no reason to try again at once.
    world.nowMs += 2_000;
    await endAll({ outcome: 'failed', code: 'X' });
    world.nowMs -= 2_000;
    expect(await walk()).toMatchObject({ started: 0 });
  });

  test('leaves a tag alone that names a referrer, once that is known', async () => {
    const source = world.registries.repository(REGISTRY, SOURCE.repository);
    const subject = await pushImage(source);
    await pushArtifact(source, 'application/x-report', { subject, tag: SOURCE.tag });
    expect(await walk()).toMatchObject({ started: 1 });
    const run = await openRun(world);
    const observed = await observeStep(world, run, await callOf(world, run.runId));
    if (!('done' in observed) || observed.done.state !== 'refused') throw new Error('it is no referrer');
    const { code, digest = '' } = observed.done;
    await endAll({ outcome: 'refused', code, digest });
    expect(await walk()).toMatchObject({ started: 0, looked: 1 });
  });

  test('leaves a destination that another owns alone, until that rule is gone', async () => {
    await push('samples/app', 'v1');
    const owner = promoting({ name: 'owner', source: { registry: REGISTRY, repositories: ['samples/app'] } });
    world.ruleList = [owner, promoting()];
    const root = await world.registries.repository(REGISTRY, 'samples/app').resolve('v1');
    const run = await openRun(world, owner);
    await pushImage(world.registries.repository(REGISTRY, 'staging/samples/app'), { content: 'samples/app:v1' });
    await tagDestinationStep(world, { ...run, root }, await callOf(world, run.runId));
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
    expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'interrupted' } });
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
  ])('of a rule that %s come to rest, and keep the scan from no other', async (_, changes) => {
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
  test('a registry that is down keeps the scan from no other rule, and is told', async () => {
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

  test('a repository that is not there, or may not be read, keeps the scan from no other', async () => {
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
    slow(SCAN_MS / 150);
    expect(await walkAll()).toEqual({ stretches: 3, looked: 250 });
    expect(new Set(await started()).size).toBe(250);
  });

  test('goes on where it stopped, between small repositories and rules', async () => {
    world.ruleList = [
      promoting(),
      promoting({ name: 'second', destination: { reference: `${OTHER}/{repository}:{tag}` } }),
    ];
    for (let index = 0; index < 20; index += 1) await push(`samples/app${String(index).padStart(2, '0')}`, 'v1');
    slow(SCAN_MS / 15);
    const { stretches, looked } = await walkAll();
    expect(looked).toBe(40);
    expect(stretches).toBeGreaterThan(2);
    expect(world.engine.starts).toHaveLength(40);
  });

  test('gets on, however slow it is to begin', async () => {
    for (let index = 0; index < 5; index += 1) await push(`samples/app${index}`, 'v1');
    slow(10 * SCAN_MS);
    expect(await walkAll()).toMatchObject({ looked: 5 });
  });

  test('goes on with the next rule by name where its own is gone meanwhile', async () => {
    await push('samples/app', 'v1');
    world.ruleList = [promoting({ name: 'a' }), promoting({ name: 'z' })];
    const cursor = JSON.stringify({ at: 'rule', rule: 'gone', repository: 'a' });
    expect(await walk(cursor)).toMatchObject({ cursor: null, looked: 1 });
    expect((await world.store.listPromotions()).items).toMatchObject([{ rule: 'z' }]);
  });

  test('starts so many runs in a tick and no more', async () => {
    for (let index = 0; index < 40; index += 1) await push('samples/app', `v${index}`);
    world.maxRunsPerTick = 25;
    expect(await walk(null, 15)).toMatchObject({ cursor: null, started: 25 });
    expect(world.engine.starts).toHaveLength(10);
  });
});

describe('a walk that is too long for one tick', () => {
  /** What was looked at: `repository`, in turn. */
  let seen: string[];
  beforeEach(() => {
    seen = [];
    const { repository } = world.listing;
    world.listing.repository = (registry, name) => {
      seen.push(name);
      return repository(registry, name);
    };
    // Each repository takes half of a stretch.
    const list = world.store.listPromotions.bind(world.store);
    world.store.listPromotions = (options) => {
      if (options?.filter?.repository !== undefined) world.nowMs += SCAN_MS / 2;
      return list(options);
    };
  });
  /** One tick that is broken off after so many stretches, as the orchestration does. */
  async function tick(stretches: number): Promise<boolean> {
    let cursor: string | null = null;
    let count = 0;
    for (let stretch = 0; stretch < stretches; stretch += 1) {
      const walked: Walked = await walk(cursor, count);
      ({ cursor, started: count } = walked);
      if (cursor === null) return true;
    }
    return false;
  }
  const names = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => `samples/app${String(index).padStart(2, '0')}`);

  test('is gone on with by the next ticks, until the round has ended; then it begins anew', async () => {
    for (const name of names(20)) await push(name, 'v1');
    const ended: boolean[] = [];
    for (let ticks = 0; ticks < 5; ticks += 1) ended.push(await tick(2));
    expect(ended).toEqual([false, false, false, false, true]);
    expect(seen).toEqual(names(20));
    expect(await tick(2)).toBe(false);
    expect(seen.slice(20)).toEqual(names(4));
  });

  test('the rows that are not at rest are looked at in each tick all the same', async () => {
    for (const name of names(20)) await push(name, 'v1');
    await tick(1);
    const { runId } = await openRun(world, world.ruleList[0], { ...SOURCE, repository: 'samples/app00' });
    world.engine.setState(runId, 'missing');
    await tick(1);
    expect(world.engine.starts.filter(({ id }) => id === runId)).toHaveLength(2);
    expect(seen).toEqual(names(4));
  });

  test('nor is a row ever left out where there are more than a tick can look at', async () => {
    world.paused = true;
    for (let index = 0; index < 170; index += 1) {
      await openRun(world, world.ruleList[0], { ...SOURCE, tag: `v${index}` });
    }
    world.paused = false;
    const get = world.store.getPromotion.bind(world.store);
    world.store.getPromotion = (id) => {
      world.nowMs += SCAN_MS / SCANNED_ROWS;
      return get(id);
    };
    for (let ticks = 0; ticks < 4; ticks += 1) await tick(1);
    expect(world.engine.starts).toHaveLength(170);
  });

  test('rules that come and go between the ticks: none is left out', async () => {
    const named = (name: string) =>
      promoting({ name, source: { registry: REGISTRY, repositories: [`samples/${name}`] } });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await push(`samples/${name}`, 'v1');
    world.ruleList = ['b', 'c', 'd', 'f'].map(named);
    await tick(1);
    expect(seen).toEqual(['samples/b', 'samples/c']);
    // It stands before d, which is gone; a is new and would have been before, e comes after; and they stand in another order.
    world.ruleList = ['f', 'e', 'c', 'b', 'a'].map(named);
    expect(await tick(9)).toBe(true);
    expect(seen.slice(2)).toEqual(['samples/e', 'samples/f']);
    expect(await tick(9)).toBe(true);
    expect(seen.slice(4)).toEqual(['a', 'b', 'c', 'e', 'f'].map((name) => `samples/${name}`));
  });

  test('a rule that takes more repositories between the ticks: they come with the next round', async () => {
    for (const name of names(6)) await push(name, 'v1');
    await push('early/app', 'v1');
    await tick(1);
    world.ruleList = [promoting({ source: { registry: REGISTRY, repositories: ['**', '!staging/**'] } })];
    expect(await tick(9)).toBe(true);
    expect(await tick(9)).toBe(true);
    expect(new Set(seen)).toEqual(new Set(['early/app', ...names(6)]));
  });

  test('two hosts at it at once: all is looked at', async () => {
    for (const name of names(12)) await push(name, 'v1');
    for (let round = 0; round < 12; round += 1) await Promise.all([tick(2), tick(1)]);
    expect(new Set(seen)).toEqual(new Set(names(12)));
    expect((await world.store.listPromotions()).items).toHaveLength(12);
  });

  test('a note of another version, or a page that is none: from the start', async () => {
    for (const name of names(4)) await push(name, 'v1');
    for (const text of ['{"tags":7}', 'no JSON', JSON.stringify({ rows: 'no page' })]) {
      const note = await world.store.getNote('walk');
      await world.store.putNote('walk', text, note?.version);
      seen = [];
      expect(await tick(9)).toBe(true);
      expect(seen).toEqual(names(4));
    }
  });
});

describe('one that is in the way of the others', () => {
  /** Ticks as the schedule does; one whose stretch fails is over. */
  async function tick(): Promise<void> {
    let cursor: string | null = null;
    let count = 0;
    for (let stretch = 0; stretch < 60; stretch += 1) {
      let walked: Walked;
      try {
        walked = await walk(cursor, count);
      } catch {
        return;
      }
      ({ cursor, started: count } = walked);
      if (cursor === null) return;
    }
  }

  test('a tag that always differs does not use up what a tick may start', async () => {
    world.maxRunsPerTick = 1;
    for (const tag of ['v1', 'v2', 'v3']) await push('samples/app', tag);
    for (let ticks = 0; ticks < 3; ticks += 1) {
      await tick();
      // The destination stays empty, so that each would be raised again.
      await endAll({ outcome: 'promoted' });
    }
    expect(await started()).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/app:v3']);
  });

  test('neither does one rule’s', async () => {
    world.maxRunsPerTick = 2;
    world.ruleList = [
      promoting({ name: 'a' }),
      promoting({ name: 'b', destination: { reference: `${OTHER}/{repository}:{tag}` } }),
    ];
    await push('samples/app', 'v1');
    await push('samples/app', 'v2');
    for (let ticks = 0; ticks < 2; ticks += 1) {
      await tick();
      await endAll({ outcome: 'promoted' });
    }
    expect((await world.store.listPromotions()).items.map(({ rule: name }) => name).sort()).toEqual([
      'a',
      'a',
      'b',
      'b',
    ]);
  });

  test('a row that cannot be tended is told of; the others are', async () => {
    world.paused = true;
    for (const tag of ['v1', 'v2', 'v3']) await openRun(world, world.ruleList[0], { ...SOURCE, tag });
    world.paused = false;
    const [first] = (await world.store.listOpenPromotions()).items;
    const replace = world.store.replacePromotion.bind(world.store);
    world.store.replacePromotion = (row, version) =>
      row.id === first?.id ? Promise.reject(new PromoterError('ROW_TOO_LARGE', 'too large')) : replace(row, version);
    world.maxRunsPerTick = 2;
    const walked = await walk();
    expect(walked).toMatchObject({ started: 2, problems: [`promotion ${first?.id}: ROW_TOO_LARGE: too large`] });
    expect(world.engine.starts).toHaveLength(2);
  });

  test('a row that cannot be read, and which the list leaves out: neither its repository nor its rule end with it', async () => {
    for (const tag of ['v1', 'v2', 'v3']) await push('samples/app', tag);
    await push('samples/other', 'v1');
    const get = world.store.getPromotion.bind(world.store);
    const broken = promotionId('staging', { ...SOURCE, tag: 'v2' });
    world.store.getPromotion = async (id) => {
      if (id === broken) throw new PromoterError('ROW_UNREADABLE', 'no JSON');
      return get(id);
    };
    const walked = await walk();
    expect(walked).toMatchObject({ started: 3, looked: 4, problems: ['rule staging: ROW_UNREADABLE: no JSON'] });
    expect(await started()).toEqual(['samples/app:v1', 'samples/app:v3', 'samples/other:v1']);
  });

  test.each(['samples/app00', 'samples/app07', 'samples/app14'])(
    'a repository (%s) that kills whoever looks at it is passed over; the others are not',
    async (poison) => {
      const names = Array.from({ length: 15 }, (_, index) => `samples/app${String(index).padStart(2, '0')}`);
      for (const name of names) await push(name, 'v1');
      const { repository } = world.listing;
      let deaths = 0;
      world.listing.repository = (registry, name) => {
        if (name !== poison) return repository(registry, name);
        deaths += 1;
        throw new TypeError('the process died');
      };
      for (let ticks = 0; ticks < 12; ticks += 1) await tick();
      expect(await started()).toEqual(names.filter((name) => name !== poison).map((name) => `${name}:v1`));
      // It is tried again in each round, and no more often than that.
      expect(deaths).toBeGreaterThan(2);
      expect(deaths).toBeLessThan(20);
    },
  );

  test('so is a rule that does', async () => {
    await push('samples/app', 'v1');
    await push('more/app', 'v1', OTHER);
    world.ruleList = [
      promoting({ name: 'a', source: { registry: OTHER, repositories: ['**'] } }),
      promoting({ name: 'b' }),
    ];
    const { registry } = world.listing;
    world.listing.registry = (name) => {
      if (name === OTHER) throw new TypeError('the process died');
      return registry(name);
    };
    for (let ticks = 0; ticks < 6; ticks += 1) await tick();
    expect(await started()).toEqual(['samples/app:v1']);
  });
});
