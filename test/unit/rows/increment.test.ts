import { beforeEach, describe, expect, test } from '@jest/globals';
import { closePromotion, incrementGeneration } from '../../../src/rows/generation.js';
import { takePromotion, writeWaiting, readOwned } from '../../../src/rows/row-writes.js';
import type { RulesSource } from '../../../src/ports/rules-source.js';
import { reconcilePromotion } from '../../../src/rows/reconcile.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { RunResult } from '../../../src/rows/run-row.js';
import { rule } from '../../support/rules.fixture.js';
import { memoryEngine, memoryRunStore, type MemoryEngine } from '../../support/memory-ports.js';
import { InputError } from '../../../src/oci/index.js';

const source = { registry: 'r.azurecr.io', repository: 'samples/app', tag: 'v1' };
const staging = rule();

interface World {
  store: ReturnType<typeof memoryRunStore>;
  engine: MemoryEngine;
  now(): Date;
  paused: boolean;
  rules: RulesSource;
}

let world: World;
let clockMs: number;

beforeEach(() => {
  clockMs = Date.parse('2026-01-01T00:00:00Z');
  const now = (): Date => new Date(clockMs);
  world = {
    store: memoryRunStore(),
    engine: memoryEngine(() => clockMs),
    now,
    paused: false,
    rules: { load: async () => [staging] },
  };
});

async function rowOf(id: string): Promise<PromotionRow> {
  const row = await world.store.getPromotion(id);
  if (row === undefined) throw new Error('no row');
  return row.value;
}

const promoted: RunResult = { outcome: 'promoted', digest: 'sha256:a' };

async function opened(): Promise<{ id: string; runId: string; generation: number }> {
  const {
    promotionId: id,
    runId = '',
    generation,
  } = await incrementGeneration(world, staging, source, { kind: 'push' });
  return { id, runId, generation };
}

describe('a trigger', () => {
  test('opens one run, and starts the orchestration under its id', async () => {
    const { id, runId } = await opened();
    expect(world.engine.starts).toEqual([
      { orchestration: 'promote', id: runId, input: { promotionId: id, runId, deadlineMs: 24 * 3_600_000 } },
    ]);
    expect(await rowOf(id)).toMatchObject({
      state: 'working',
      runOpen: true,
      runBegun: false,
      generation: 1,
      observedGeneration: 0,
      destination: 'r.azurecr.io/staging/samples/app:v1',
    });
    expect((await world.store.getRun(runId))?.value.input).toMatchObject({
      kind: 'promotion',
      rule: { name: 'staging' },
    });
  });

  test('is coalesced while a run is open', async () => {
    const { id, runId } = await opened();
    world.engine.setState(runId, 'running');
    await Promise.all([
      incrementGeneration(world, staging, source, { kind: 'push' }),
      incrementGeneration(world, staging, source, { kind: 'push' }),
    ]);
    expect(world.engine.starts).toHaveLength(1);
    expect(await rowOf(id)).toMatchObject({ generation: 3, runId });
  });

  test('opens one run, even if many arrive at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => incrementGeneration(world, staging, source, { kind: 'push' })));
    const { id } = { id: (await incrementGeneration(world, staging, source, { kind: 'push' })).promotionId };
    expect((await rowOf(id)).generation).toBe(21);
    expect(new Set(world.engine.starts.map((start) => start.id)).size).toBe(1);
  });

  test('starts an instance that was never created under the same id', async () => {
    const { runId } = await opened();
    world.engine.setState(runId, 'missing');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    expect(world.engine.starts.map((start) => start.id)).toEqual([runId, runId]);
  });

  test.each(['missing', 'ended'] as const)(
    'a begun run whose instance is %s is followed by the next',
    async (state) => {
      const { id, runId } = await opened();
      await takePromotion(world, id, runId);
      world.engine.setState(runId, state);
      await incrementGeneration(world, staging, source, { kind: 'push' });
      const row = await rowOf(id);
      expect(row.runId).not.toBe(runId);
      expect(row).toMatchObject({ previousRunId: runId, runOpen: true, runBegun: false });
      expect(world.engine.starts.at(-1)?.id).toBe(row.runId);
    },
  );

  test('replaces a run that was pending for a quarter of an hour, but not one that was pending for a minute', async () => {
    const { id, runId } = await opened();
    clockMs += 60_000;
    await reconcilePromotion(world, id, staging);
    expect((await rowOf(id)).runId).toBe(runId);
    clockMs += 10 * 60_000;
    await reconcilePromotion(world, id, staging);
    expect((await rowOf(id)).runId).toBe(runId);
    clockMs += 5 * 60_000;
    await reconcilePromotion(world, id, staging);
    expect((await rowOf(id)).runId).not.toBe(runId);
  });

  test('replaces no run that continues after an outage of the whole app', async () => {
    const { id, runId } = await opened();
    await takePromotion(world, id, runId);
    world.engine.setState(runId, 'running');
    const HOUR = 3_600_000;
    const look = async (): Promise<string | undefined> => {
      await reconcilePromotion(world, id, staging);
      return (await rowOf(id)).runId;
    };
    const work = (): Promise<void> => {
      const at = world.now().toISOString();
      return world.store.putProgress({ runId, step: 'copy', state: 'working', text: '', startedAt: at, updatedAt: at });
    };
    for (let outage = 0; outage < 3; outage += 1) {
      clockMs += HOUR;
      // The event of a push may be first.
      await incrementGeneration(world, staging, source, { kind: 'push' });
      expect((await rowOf(id)).runId).toBe(runId);
      clockMs += 60_000;
      expect(await look()).toBe(runId);
      await work();
      clockMs += 6 * 60_000;
      expect(await look()).toBe(runId);
    }
    clockMs += HOUR;
    expect(await look()).toBe(runId);
    clockMs += 5 * 60_000;
    expect(await look()).not.toBe(runId);
    expect(await rowOf(id)).not.toHaveProperty('silent');
  });

  test('replaces a run that is silent for 15 minutes, but not one that waits', async () => {
    const { id, runId } = await opened();
    await takePromotion(world, id, runId);
    world.engine.setState(runId, 'running');
    const MINUTE = 60_000;
    const tell = (state: 'working' | 'waiting', nextMs?: number): Promise<void> => {
      const at = world.now().toISOString();
      const waits = { code: 'X_Y', tries: 1, since: at, nextAt: new Date(nextMs ?? clockMs).toISOString() };
      const row = { step: 'copy', state, text: '', startedAt: at, updatedAt: at, ...(nextMs && { waitsFor: waits }) };
      return world.store.putProgress({ runId, ...row });
    };
    const isReplaced = async (): Promise<boolean> => {
      await reconcilePromotion(world, id, staging);
      return (await rowOf(id)).runId !== runId;
    };
    /** Minute by minute, as the schedule looks. */
    const lasts = async (minutes: number): Promise<boolean> => {
      for (let minute = 0; minute < minutes; minute += 1) {
        clockMs += MINUTE;
        if (await isReplaced()) return false;
      }
      return true;
    };
    expect(await lasts(14)).toBe(true);
    await tell('working');
    expect(await lasts(14)).toBe(true);
    // Told by a registry to come back tomorrow.
    await tell('waiting', clockMs + 24 * 60 * MINUTE);
    clockMs += 24 * 60 * MINUTE;
    expect(await lasts(14)).toBe(true);
    expect(await lasts(2)).toBe(false);
    expect(await rowOf(id)).toMatchObject({ previousRunId: runId, runOpen: true });
    const ended = { state: 'ended', result: { outcome: 'interrupted' } };
    expect((await world.store.getRun(runId))?.value).toMatchObject(ended);
  });

  test('replaces a run that is open for two days more than its rule’s deadline', async () => {
    const { id, runId } = await opened();
    await takePromotion(world, id, runId);
    world.engine.setState(runId, 'running');
    const busy = (): Promise<void> => {
      const at = world.now().toISOString();
      return world.store.putProgress({ runId, step: 'copy', state: 'working', text: '', startedAt: at, updatedAt: at });
    };
    clockMs += 71 * 3_600_000;
    await busy();
    await reconcilePromotion(world, id, staging);
    expect((await rowOf(id)).runId).toBe(runId);
    clockMs += 2 * 3_600_000;
    await busy();
    await reconcilePromotion(world, id, staging);
    expect(await rowOf(id)).toMatchObject({ previousRunId: runId, runOpen: true });
  });

  test('increments the generation while the app is paused; the schedule opens the run later', async () => {
    world.paused = true;
    const { promotionId: id } = await incrementGeneration(world, staging, source, { kind: 'push' });
    await incrementGeneration(world, staging, source, { kind: 'push' });
    expect(world.engine.starts).toEqual([]);
    expect(await rowOf(id)).toMatchObject({ generation: 2, runOpen: false });
    expect((await world.store.listDuePromotions()).items.map((row) => row.id)).toEqual([id]);
    await reconcilePromotion(world, id, staging);
    expect(world.engine.starts).toEqual([]);
    world.paused = false;
    await reconcilePromotion(world, id, staging);
    expect(world.engine.starts).toHaveLength(1);
  });
});

describe('closing a run', () => {
  test('closes the row if no trigger came meanwhile', async () => {
    const { id, runId, generation } = await opened();
    await takePromotion(world, id, runId);
    expect(await closePromotion(world, id, runId, { generation, result: promoted, rule: staging })).toBe('closed');
    expect(await rowOf(id)).toMatchObject({
      state: 'in_sync',
      runOpen: false,
      observedGeneration: 1,
      last: { outcome: 'promoted', runId },
    });
    expect((await world.store.getRun(runId))?.value).toMatchObject({ state: 'ended', result: promoted });
  });

  test('changes nothing the second time', async () => {
    const { id, runId, generation } = await opened();
    const close = (): Promise<string> =>
      closePromotion(world, id, runId, { generation, result: promoted, rule: staging });
    await close();
    const before = await rowOf(id);
    expect(await close()).toBe('closed');
    expect(await rowOf(id)).toEqual(before);
  });

  test('opens the next run if a trigger came meanwhile, and the same one the second time', async () => {
    const { id, runId, generation } = await opened();
    world.engine.setState(runId, 'running');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    const close = (): Promise<string> =>
      closePromotion(world, id, runId, { generation, result: promoted, rule: staging });
    expect(await close()).toBe('next');
    const next = (await rowOf(id)).runId;
    expect(next).not.toBe(runId);
    expect(await close()).toBe('next');
    expect((await rowOf(id)).runId).toBe(next);
    expect(world.engine.starts.map((start) => start.id)).toEqual([runId, next]);
  });

  test('starts the next run at the second call, after a crash between row and engine', async () => {
    const { id, runId, generation } = await opened();
    world.engine.setState(runId, 'running');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    const { engine } = world;
    world.engine = {
      ...engine,
      start: async () => {
        throw new Error('killed');
      },
    };
    const close = (): Promise<string> =>
      closePromotion(world, id, runId, { generation, result: promoted, rule: staging });
    await expect(close()).rejects.toThrow('killed');
    world.engine = engine;
    expect(await close()).toBe('next');
    expect(world.engine.starts.at(-1)?.id).toBe((await rowOf(id)).runId);
  });

  test('keeps its result while the rules cannot be read; the schedule opens the next run later', async () => {
    const { id, runId, generation } = await opened();
    world.engine.setState(runId, 'running');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    const { rules } = world;
    world.rules = { load: () => Promise.reject(new InputError('RULES_INVALID', 'a slip')) };
    const close = (): Promise<string> =>
      closePromotion(world, id, runId, { generation, result: promoted, rule: staging });
    expect([await close(), await close()]).toEqual(['closed', 'closed']);
    expect(await rowOf(id)).toMatchObject({
      runOpen: false,
      generation: 2,
      observedGeneration: 1,
      last: { outcome: 'promoted' },
    });
    expect((await world.store.listDuePromotions()).items).toHaveLength(1);
    world.rules = rules;
    await reconcilePromotion(world, id, staging);
    expect(await rowOf(id)).toMatchObject({ runOpen: true, previousRunId: runId });
  });

  test('opens the next run after superseded, which is not a last outcome', async () => {
    const { id, runId, generation } = await opened();
    expect(
      await closePromotion(world, id, runId, { generation, result: { outcome: 'superseded' }, rule: staging }),
    ).toBe('next');
    expect((await rowOf(id)).last).toBeUndefined();
  });

  test('changes nothing for a run that does not own the row', async () => {
    const { id, generation } = await opened();
    expect(await closePromotion(world, id, 'another', { generation, result: promoted, rule: staging })).toBe('gone');
    expect(await rowOf(id)).toMatchObject({ runOpen: true });
  });

  test.each([
    ['is gone', []],
    ['no longer matches the tag', [rule({ source: { ...staging.source, tags: ['release-*'] } })]],
    ['has no valid destination for it', [rule({ destination: { reference: 'r.azurecr.io/by-tag/.{tag}.:latest' } })]],
  ])('where the rule %s there is no next run', async (_, rules) => {
    const { id, runId, generation } = await opened();
    world.engine.setState(runId, 'running');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    world.rules = { load: async () => rules };
    expect(await closePromotion(world, id, runId, { generation, result: promoted, rule: staging })).toBe('closed');
    expect(await rowOf(id)).toMatchObject({ state: 'refused', last: { code: 'RULE_GONE' } });
  });

  test('counts failures in a row', async () => {
    const fail: RunResult = { outcome: 'failed', code: 'X', reason: 'broken' };
    for (let count = 1; count <= 3; count += 1) {
      const { id, runId, generation } = await opened();
      await closePromotion(world, id, runId, { generation, result: fail, rule: staging });
      expect((await rowOf(id)).failures).toBe(count);
    }
    const { id, runId, generation } = await opened();
    await closePromotion(world, id, runId, { generation, result: promoted, rule: staging });
    expect((await rowOf(id)).failures).toBe(0);
  });
});

describe('waiting for evidence', () => {
  test('is written only if the generation has not changed', async () => {
    const { id, runId, generation } = await opened();
    world.engine.setState(runId, 'running');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    expect(await writeWaiting(world, id, runId, generation, 'evidence-1')).toBe('again');
    expect(await writeWaiting(world, id, runId, generation + 1, 'evidence-2')).toBe('waiting');
    expect(await rowOf(id)).toMatchObject({ state: 'waiting', waitingFor: 'evidence-2' });
    expect(await writeWaiting(world, id, 'another', generation + 1, 'evidence-3')).toBe('gone');
  });

  test('ends with any trigger; the run that checks again no longer waits', async () => {
    const { id, runId, generation } = await opened();
    world.engine.setState(runId, 'running');
    await writeWaiting(world, id, runId, generation, 'evidence-1');
    await incrementGeneration(world, staging, source, { kind: 'push' });
    expect(world.engine.notified).toEqual([{ id: runId, event: 'evidence-1' }]);
    const row = await readOwned(world, id, runId);
    expect(row).toMatchObject({ generation: 2, state: 'working' });
    expect(row?.waitingFor).toBeUndefined();
  });
});

test('a write by a run that does not own the row is refused', async () => {
  const { id, runId } = await opened();
  expect(await takePromotion(world, id, 'another')).toBeUndefined();
  expect(await takePromotion(world, id, runId)).toMatchObject({ runBegun: true });
  expect(await takePromotion(world, id, runId)).toMatchObject({ runBegun: true });
});
