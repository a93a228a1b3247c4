import { beforeEach, describe, expect, test } from '@jest/globals';
import { handleRegistryEvent } from '../../../src/promotions/handle-change.js';
import type { Descriptor } from '../../../src/oci/index.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import { removeOld } from '../../../src/schedule/housekeeping.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE } from '../../support/world.js';
import { newPlayedWorld, outcomes, type PlayedWorld } from '../../support/played-world.js';

// What the schedule makes of the worst that may happen between two ticks, with the real runs: nothing is lost, doubled or overtaken.

const HOUR_MS = 3_600_000;
/** Copies, and no more. */
const promoting = (changes: Record<string, unknown> = {}) =>
  rule({ existing: 'promote', sign: [], sbom: { formats: [] }, ...changes });

let play: PlayedWorld;
beforeEach(() => {
  play = newPlayedWorld(promoting());
});

/** Pushes; the registry reports it if asked to. */
async function push(content: string, { tag = SOURCE.tag, told = true } = {}): Promise<Descriptor> {
  const image = await pushImage(play.source, { tag, content });
  if (told) {
    const event = { id: content, kind: 'pushed', registry: REGISTRY, repository: SOURCE.repository } as const;
    const time = play.world.now().toISOString();
    await handleRegistryEvent(play.world, { ...event, tag, digest: image.digest, time }, AbortSignal.timeout(10_000));
  }
  return image;
}
async function rows(): Promise<PromotionRow[]> {
  return (await play.world.store.listPromotions({ size: 100 })).items;
}
/** Ticks and plays until nothing is started any more. @returns how each of the runs ended */
async function tickUntilQuiet(pauseMs = 5 * 60_000): Promise<unknown[]> {
  const ended: unknown[] = [];
  for (let quiet = 0; quiet < 3;) {
    play.world.nowMs += pauseMs;
    const started = await play.tick();
    ended.push(...outcomes(await play.playAll()));
    quiet = started === 0 ? quiet + 1 : 0;
    if (ended.length > 100) throw new Error('it does not end');
  }
  expect((await play.world.store.listDuePromotions()).items).toEqual([]);
  return ended;
}

describe('PROMOTION_PAUSED, set while a run is open', () => {
  test('lets the run finish; later triggers wait and are promoted when it is unset', async () => {
    const first = await push('A');
    let second: Descriptor | undefined;
    await play.playAll(async (work, _call, name) => {
      if (name === 'tagDestination' && second === undefined) {
        play.world.paused = true;
        second = await pushImage(play.source, { tag: 'v2', content: 'B' });
        await push('again');
        play.source.tags.set(SOURCE.tag, first.digest);
      }
      return work();
    });
    expect(play.standing()).toBe(first.digest);
    const last = await push('C');
    for (let ticks = 0; ticks < 3; ticks += 1) expect(await play.tick()).toBe(0);
    expect(await play.playAll()).toEqual([]);
    expect(await rows()).toMatchObject([{ runOpen: false }]);
    play.world.paused = false;
    expect(await tickUntilQuiet()).toEqual(['promoted', 'promoted']);
    expect(play.standing()).toBe(last.digest);
    expect(play.destination.tags.get('v2')).toBe(second?.digest);
  });

  test('delays the next run after an orphaned one until it is unset', async () => {
    const image = await push('A');
    play.world.engine.setState(play.world.engine.starts[0]?.id ?? '', 'running');
    const [{ runId = '' } = { runId: '' }] = await rows();
    const begun = await play.world.store.getPromotion((await rows())[0]?.id ?? '');
    if (begun !== undefined) await play.world.store.replacePromotion({ ...begun.value, runBegun: true }, begun.version);
    play.world.engine.setState(runId, 'missing');
    play.world.paused = true;
    const starts = play.world.engine.starts.length;
    for (let ticks = 0; ticks < 3; ticks += 1) await play.tick();
    expect(play.world.engine.starts).toHaveLength(starts);
    play.world.paused = false;
    await play.tick();
    expect(play.world.engine.starts).toHaveLength(starts + 1);
    await play.playAll();
    expect(play.standing()).toBe(image.digest);
  });
});

describe('a rule that is removed while a run is open', () => {
  test('lets the run finish; when the rule is back, nothing differs', async () => {
    const image = await push('A');
    const rules = play.world.ruleList;
    await play.playAll(async (work, _call, name) => {
      if (name === 'copy') play.world.ruleList = [];
      return work();
    });
    expect(play.standing()).toBe(image.digest);
    expect(await tickUntilQuiet()).toEqual([]);
    play.world.ruleList = rules;
    expect(await tickUntilQuiet()).toEqual([]);
  });

  test('closes the promotion if the run is superseded; when the rule is back, it promotes the current digest', async () => {
    await push('A');
    const rules = play.world.ruleList;
    let second: Descriptor | undefined;
    await play.playAll(async (work, _call, name) => {
      if (name === 'copy' && second === undefined) {
        play.world.ruleList = [];
        second = await push('B', { told: false });
      }
      return work();
    });
    expect(await rows()).toMatchObject([{ runOpen: false, last: { code: 'RULE_GONE' } }]);
    expect(await tickUntilQuiet()).toEqual([]);
    play.world.ruleList = rules;
    // The push that was reported named the first image: the next run waits for it, in vain.
    expect(await tickUntilQuiet()).toEqual(['promoted', 'unchanged']);
    expect(play.standing()).toBe(second?.digest);
  });
});

describe('a tag that moves A, B, A without events', () => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7])('at the destination and the source is promoted (order %i)', async (order) => {
    const a = await push('A');
    await play.playAll();
    const b = await push('B', { told: false });
    // In each bit another side moves.
    for (let bit = 0; bit < 3; bit += 1) {
      if (((order >> bit) & 1) === 1) {
        play.source.tags.set(SOURCE.tag, bit % 2 === 0 ? a.digest : b.digest);
        await play.tick();
      } else {
        play.destination.tags.set(SOURCE.tag, a.digest);
      }
      await play.playAll();
    }
    play.source.tags.set(SOURCE.tag, a.digest);
    await tickUntilQuiet();
    expect(play.standing()).toBe(a.digest);
  });
});

test('the rows of a repository that was deleted without an event are closed and later removed, and the promoted copy stays', async () => {
  const images = [await push('A', { tag: 'v1' }), await push('B', { tag: 'v2' })];
  await play.playAll();
  expect(await play.tick()).toBe(0);
  play.source.tags.clear();
  play.source.manifests.clear();
  expect(await tickUntilQuiet()).toEqual(['failed', 'failed']);
  expect(await rows()).toMatchObject([{ last: { code: 'SOURCE_GONE' } }, { last: { code: 'SOURCE_GONE' } }]);
  expect(await tickUntilQuiet(24 * HOUR_MS)).toEqual([]);
  play.world.nowMs += 31 * 24 * HOUR_MS;
  expect(await removeOld(play.world)).toMatchObject({ promotions: 2, subjectIndex: 2 });
  expect(play.destination.tags.get('v1')).toBe(images[0]?.digest);
  // It comes again, and no event reports that either.
  const again = await push('A2', { tag: 'v1', told: false });
  expect(await tickUntilQuiet()).toEqual(['promoted']);
  expect(play.destination.tags.get('v1')).toBe(again.digest);
});

test.each([-24 * HOUR_MS, -10 * 365 * 24 * HOUR_MS, 40 * 24 * HOUR_MS])(
  'a clock that steps by %i ms: what comes after it is promoted, by events and by ticks',
  async (stepMs) => {
    await push('A');
    await play.playAll();
    await play.tick();
    play.world.nowMs += stepMs;
    const b = await push('B');
    await play.playAll();
    expect(play.standing()).toBe(b.digest);
    const c = await push('C', { told: false });
    expect(await tickUntilQuiet()).toEqual(['promoted']);
    expect(play.standing()).toBe(c.digest);
    play.world.nowMs -= stepMs;
    const d = await push('D', { told: false });
    expect(await tickUntilQuiet()).toEqual(['promoted']);
    expect(play.standing()).toBe(d.digest);
  },
);

describe('many promotions at once', () => {
  const tags = Array.from({ length: 100 }, (_, index) => `v${String(index).padStart(3, '0')}`);

  test('have one run each if ticks overlap, within the limit', async () => {
    for (const tag of tags.slice(0, 20)) await push(tag, { tag, told: false });
    play.world.maxRunsPerTick = 15;
    await Promise.all([play.tick(), play.tick(), play.tick()]);
    const ids = play.world.engine.starts.map(({ input }) => (input as { promotionId: string }).promotionId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeLessThanOrEqual(20);
    await tickUntilQuiet();
    expect(play.destination.tags.size).toBe(20);
  });

  test('of 100 tags are started in shares, each once, even if some fail', async () => {
    for (const tag of tags) play.source.tags.set(tag, (await push('same', { tag, told: false })).digest);
    play.world.maxRunsPerTick = 10;
    for (let ticks = 0; ticks < 10; ticks += 1) {
      expect(await play.tick()).toBe(10);
      for (const { id } of play.world.engine.starts) play.world.engine.setState(id, 'running');
    }
    const ids = play.world.engine.starts.map(({ input }) => (input as { promotionId: string }).promotionId);
    expect(new Set(ids).size).toBe(tags.length);
    expect(await play.tick()).toBe(0);
  });

  test('with a limit of one run per tick are all started, even if the first always fails', async () => {
    play.world.maxRunsPerTick = 1;
    for (const tag of tags.slice(0, 4)) await push(tag, { tag, told: false });
    const first = play.source.tags.get('v000') ?? '';
    play.source.fault = ({ method, what }) => {
      if (method === 'fetchManifest' && what === first) throw new Error('it is broken');
    };
    // So long after the failure that it is tried again at each tick.
    for (let ticks = 0; ticks < 12; ticks += 1) {
      play.world.nowMs += 48 * HOUR_MS;
      await play.tick();
      await play.playAll();
    }
    expect([...play.destination.tags.keys()].sort()).toEqual(['v001', 'v002', 'v003']);
    expect((await rows()).filter(({ state }) => state === 'failed')).toHaveLength(1);
  });
});
