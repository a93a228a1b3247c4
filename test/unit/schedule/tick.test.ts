import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { InputError } from '../../../src/oci/index.js';
import type { TickState } from '../../../src/schedule/clock.js';
import { tick } from '../../../src/schedule/tick.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { breaking, runOut } from '../../support/breaking.js';
import { putInSync } from '../../support/in-sync.js';
import { endState } from '../../support/end-state.js';
import { REGISTRY, SOURCE, newWorld, type World } from '../../support/world.js';

const promoting = (changes: Record<string, unknown> = {}) =>
  rule({ existing: 'promote', sign: [], sbom: { formats: [] }, ...changes });

let world: World;
let state: TickState;
let logged: string[];
const MINUTE_MS = 60_000;

beforeEach(() => {
  world = newWorld(promoting());
  world.nowMs = Date.UTC(2026, 0, 1, 12, 0, 10);
  state = { started: 0 };
  logged = [];
});

async function ticks(count = 1): Promise<TickState> {
  for (let done = 0; done < count; done += 1) {
    if (done > 0) world.nowMs += MINUTE_MS;
    const log = { info: (text: string) => void logged.push(text), warn: (text: string) => void logged.push(text) };
    state = await tick(world, {
      schedule: '0 */5 * * * *',
      state,
      log,
      warnOfSigning: async (warn) => warn('the key ends soon'),
    });
  }
  return state;
}
async function pushTags(count: number): Promise<void> {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  for (let index = 0; index < count; index += 1)
    await pushImage(source, { tag: `v${String(index).padStart(3, '0')}`, content: `${index}` });
}
const scans = (): number => logged.filter((text) => text.startsWith('scan:')).length;

describe('scans', () => {
  test('are due at the times of PROMOTION_SCHEDULE, whatever the number of ticks', async () => {
    await pushTags(1);
    await ticks(11);
    // 12:00, 12:05 and 12:10.
    expect(scans()).toBe(3);
    expect(state.dueAt).toBe('2026-01-01T12:10:00.000Z');
    expect(world.engine.starts).toHaveLength(1);
    expect(logged.filter((text) => text === 'the key ends soon')).toHaveLength(3);
  });

  test('start at most maxRunsPerTick runs from one time of PROMOTION_SCHEDULE to the next', async () => {
    await pushTags(9);
    world.maxRunsPerTick = 4;
    await ticks(5);
    expect(state.started).toBe(4);
    expect(world.engine.starts).toHaveLength(4);
    world.nowMs += MINUTE_MS;
    await ticks();
    expect(world.engine.starts).toHaveLength(8);
  });

  test('continue in the next minute if a tick has no time for the rest', async () => {
    world.ruleList = [promoting({ source: { registry: REGISTRY, repositories: ['samples/*'], tags: ['v*'] } })];
    for (let index = 0; index < 20; index += 1)
      await pushImage(world.registries.repository(REGISTRY, `samples/app-${index}`), { tag: 'v1' });
    const repository = world.listing.repository.bind(world.listing);
    world.listing = {
      ...world.listing,
      repository: (registry, name) => {
        if (registry === REGISTRY && name.startsWith('samples/')) world.nowMs += 2_000;
        return repository(registry, name);
      },
    };
    await ticks();
    expect(state.scans).toBe('begun');
    const first = world.engine.starts.length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(20);
    world.nowMs += MINUTE_MS;
    await ticks(12);
    expect(world.engine.starts).toHaveLength(20);
  });

  test('that fail are repeated in the next minute from the same position', async () => {
    await pushTags(1);
    world.rulesFault = new InputError('RULES_INVALID', 'a typing error');
    await ticks(2);
    expect(logged.filter((text) => text.startsWith('the scan failed: RULES_INVALID'))).toHaveLength(2);
    world.rulesFault = undefined;
    world.nowMs += MINUTE_MS;
    await ticks();
    expect(world.engine.starts).toHaveLength(1);
  });
});

describe('request shares', () => {
  test('each tick pays back part of a debt, whether it scans or not', async () => {
    world.scheduleRequests = { scan: 10, resync: 10 };
    await world.store.putNote('shares', JSON.stringify({ scan: { 'x.io': 45 }, resync: { 'x.io': 35 } }), undefined);
    const owed: unknown[] = [];
    for (let count = 0; count < 5; count += 1) {
      await ticks();
      world.nowMs += MINUTE_MS;
      owed.push(JSON.parse((await world.store.getNote('shares'))?.value ?? ''));
    }
    const of = (scan?: number, resync?: number): unknown => ({
      scan: scan === undefined ? {} : { 'x.io': scan },
      resync: resync === undefined ? {} : { 'x.io': resync },
    });
    expect(owed).toEqual([of(35, 25), of(25, 15), of(15, 5), of(5), of()]);
  });

  test('resync has its own share and continues in each tick', async () => {
    await pushTags(3);
    for (const tag of ['v000', 'v001', 'v002']) await putInSync(world, promoting(), { ...SOURCE, tag });
    world.scheduleRequests = { scan: 250, resync: 5 };
    world.nowMs += 14 * MINUTE_MS;
    await ticks(8);
    const compared = logged.filter((text) => text.startsWith('resync: '));
    expect(compared).toEqual(Array(3).fill('resync: 1 promotions compared, 0 runs started'));
  });
});

describe('errors in one part of a tick', () => {
  test.each([
    ['listDueRuns', 'could not reconcile jobs and result events'],
    ['listDuePromotions', 'could not reconcile promotions'],
    ['listScanRows', 'the scan failed'],
    ['removeIgnored', 'could not remove old rows'],
  ])('an error in %s is logged, and all other parts run', async (method, problem) => {
    const parts = ['listDueRuns', 'listDuePromotions', 'listScanRows', 'removeIgnored'];
    const asked = new Set<unknown>();
    const { store } = world;
    world.store = new Proxy(store, {
      get: (_target, key) => {
        const value: unknown = Reflect.get(store, key);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          asked.add(key);
          if (key === method) throw new Error('down');
          return value.apply(store, args) as unknown;
        };
      },
    });
    await ticks();
    expect([...asked]).toEqual(expect.arrayContaining(parts));
    expect(logged.some((text) => text.startsWith(problem))).toBe(true);
  });

  describe('parts that hang', () => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    afterEach(() => {
      AbortSignal.timeout = timeout;
    });

    test('a registry that never answers does not stop the tick or its other parts', async () => {
      AbortSignal.timeout = (ms) => timeout(ms / 1_000);
      const registry = world.listing.registry.bind(world.listing);
      world.ruleList = [promoting({ source: { registry: REGISTRY, repositories: ['samples/*'], tags: ['v*'] } })];
      world.listing = {
        ...world.listing,
        registry: (name) => ({
          ...registry(name),
          // eslint-disable-next-line require-yield
          async *listRepositories() {
            await new Promise<never>(() => undefined);
          },
        }),
      };
      await ticks();
      expect(logged).toContainEqual(expect.stringMatching(/^scan: rule staging: TIMEOUT/));
      expect(logged).toContain('the key ends soon');
    });
  });
});

test('a tick that is cut off at any call and repeated has the same result as one tick', async () => {
  const prepare = async (): Promise<World> => {
    world = newWorld(promoting());
    world.nowMs = Date.UTC(2026, 0, 1, 12, 0, 10);
    await pushTags(2);
    return world;
  };
  const once = (ports: World): Promise<TickState> => {
    const log = { info: () => undefined, warn: () => undefined };
    return tick(ports, { schedule: '* * * * * *', state: { started: 0 }, log, warnOfSigning: async () => undefined });
  };
  const whole = await prepare();
  const counted = breaking(whole, Infinity, 'before');
  await once(counted.ports);
  const expected = await endState(whole);
  expect(whole.engine.starts).toHaveLength(2);
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= counted.calls(); nth += 1) {
      const broken = await prepare();
      await once(breaking(broken, nth, when).ports);
      runOut(broken);
      // The scan that was cut off has claimed its repository for a minute.
      broken.nowMs += MINUTE_MS;
      await once(broken);
      const ended = JSON.stringify(await endState(broken)).replaceAll('T12:01:', 'T12:00:');
      expect({ nth, when, ...(JSON.parse(ended) as object) }).toEqual({ nth, when, ...expected });
    }
  }
});
