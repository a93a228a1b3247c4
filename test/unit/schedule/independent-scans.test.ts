import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { RegistryError } from '../../../src/oci/index.js';
import { promotionId } from '../../../src/rules/rule.js';
import { failuresOf } from '../../../src/rows/scan-row.js';
import { copying, endRuns, pushTo, scanRows, scanTick, type Scanned } from '../../support/scan-world.js';
import { pushImage } from '../../support/images.js';
import { REGISTRY, newWorld, type World } from '../../support/world.js';

// Trouble in one repository or registry must not delay the others.

const SILENT = 'silent.azurecr.io';
const BUSY = 'busy.azurecr.io';
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Scans are due every five minutes. */
const DUE_MS = 5 * MINUTE_MS;

let world: World;

beforeEach(() => {
  world = newWorld(copying());
  world.nowMs -= world.nowMs % DUE_MS;
  // Waiting passes a thousand times faster, and advances the virtual clock.
  jest.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const controller = new AbortController();
    const untilMs = world.nowMs + ms;
    setTimeout(() => {
      if (!controller.signal.aborted) world.nowMs = Math.max(world.nowMs, untilMs);
      controller.abort(new DOMException('time is over', 'TimeoutError'));
    }, ms / 1_000).unref();
    return controller.signal;
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});

/** Runs ticks for a while: each starts a minute after the previous one, or when that one ends. */
async function ticks(forMs: number, each: (tick: number) => Promise<void>): Promise<Scanned[]> {
  const scanned: Scanned[] = [];
  const endMs = world.nowMs + forMs;
  let dueMs = 0;
  let before: Scanned | undefined;
  for (let tick = 0; world.nowMs < endMs; tick += 1) {
    await each(tick);
    const beganMs = world.nowMs;
    const isBegin = Math.floor(beganMs / DUE_MS) * DUE_MS > dueMs;
    if (isBegin) dueMs = Math.floor(beganMs / DUE_MS) * DUE_MS;
    if (isBegin || before?.isLeft === true) {
      before = await scanTick(world, { isBegin, dueMs, started: isBegin ? 0 : (before?.started ?? 0) });
      scanned.push(before);
    }
    // A tick must end.
    expect(world.nowMs - beganMs).toBeLessThan(MINUTE_MS);
    world.nowMs = Math.max(beganMs + MINUTE_MS, world.nowMs);
  }
  return scanned;
}

test('a silent registry, a registry that answers 429 and a repository that crashes its scan do not delay the others', async () => {
  const names = Array.from({ length: 50 }, (_, index) => `samples/app${String(index).padStart(2, '0')}`);
  const broken = names[7];
  for (const name of names) await pushTo(world, name, 'v0');
  for (const registry of [SILENT, BUSY])
    for (const name of names.slice(0, 10)) await pushImage(world.registries.repository(registry, name), { tag: 'v0' });
  const of = (name: string, registry: string) => copying({ name, source: { registry, repositories: names } });
  world.ruleList = [of('a-silent', SILENT), of('b-busy', BUSY), of('c-good', REGISTRY)];
  world.jobPolicy = { ...world.jobPolicy, allowedRegistries: [SILENT, BUSY, REGISTRY] };
  const { repository } = world.listing;
  const asked = new Map<string, number>();
  world.listing.repository = (registry, name) => {
    asked.set(registry, (asked.get(registry) ?? 0) + 1);
    if (registry === REGISTRY && name === broken) throw new TypeError('the scan breaks');
    if (registry === BUSY) throw tooMany();
    if (registry !== SILENT) return repository(registry, name);
    // It ignores its signal.
    const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    const lists = { listTagDetails: () => never, listNewestTags: () => never, listNewestManifests: () => never };
    return { ...repository(registry, name), ...lists };
  };
  const late: number[] = [];
  let pushed: { name: string; tag: string; atMs: number } | undefined;
  await ticks(HOUR_MS, async (tick) => {
    await endRuns(world, { outcome: 'promoted' });
    if (tick < 20) return;
    const id = pushed && promotionId('c-good', { registry: REGISTRY, repository: pushed.name, tag: pushed.tag });
    if (id !== undefined && (await world.store.getPromotion(id)) !== undefined) {
      late.push(world.nowMs - (pushed?.atMs ?? 0));
      pushed = undefined;
    }
    if (pushed !== undefined) return;
    const others = names.filter((name) => name !== broken);
    pushed = { name: others[(tick * 13) % others.length] ?? '', tag: `v${tick}`, atMs: world.nowMs };
    await pushTo(world, pushed.name, pushed.tag);
  });
  // Each push, whose event is lost, is found by the next scan.
  expect(late.length).toBeGreaterThan(5);
  expect(Math.max(...late)).toBeLessThanOrEqual(DUE_MS + MINUTE_MS);
  const rows = await scanRows(world);
  const failed = rows.filter(({ state }) => failuresOf(state, true) > 0);
  expect(failed.filter(({ registry }) => registry === REGISTRY).map(({ repository: name }) => name)).toEqual([broken]);
  expect(failed.length).toBe(101);
  for (const { registry, repository: name, state } of rows) {
    if (registry !== REGISTRY || name === broken) continue;
    expect(world.nowMs - Date.parse(state.lastChangeScanAt ?? '')).toBeLessThanOrEqual(DUE_MS + MINUTE_MS);
    expect(state.lastFullScanAt).toBeDefined();
  }
  // A failing repository is asked less and less often.
  expect(asked.get(BUSY)).toBeLessThan(50 * 9);
}, 120_000);

function tooMany(): RegistryError {
  const info = { method: 'GET', url: `https://${BUSY}/x`, status: 429, registryCodes: ['TOOMANYREQUESTS'] };
  return new RegistryError('too many requests', info, { transient: true });
}

test.each(['samples/app00', 'samples/app07', 'samples/app14'])(
  'a repository (%s) that crashes its host is tried less and less often, and the others are scanned',
  async (poison) => {
    const names = Array.from({ length: 15 }, (_, index) => `samples/app${String(index).padStart(2, '0')}`);
    for (const name of names) await pushTo(world, name, 'v1');
    let deaths = 0;
    /** A tick on a host of its own, which may die. */
    const tickOfHost = async (isBegin: boolean, dueMs: number): Promise<boolean> => {
      let isDead = false;
      let die = (_none: undefined): void => undefined;
      const died = new Promise<undefined>((resolve) => {
        die = resolve;
      });
      const dying = <T extends object>(target: T): T =>
        new Proxy(target, {
          get(_target, key) {
            const value: unknown = Reflect.get(target, key);
            if (typeof value !== 'function') return value;
            return (...args: unknown[]): unknown =>
              isDead ? new Promise(() => undefined) : (value.apply(target, args) as unknown);
          },
        });
      const { repository } = world.listing;
      const listing: World['listing'] = {
        ...world.listing,
        repository: (registry, name) => {
          if (name === poison) {
            deaths += 1;
            isDead = true;
            die(undefined);
            throw new Error('killed');
          }
          return dying(repository(registry, name));
        },
      };
      const host = { ...world, store: dying(world.store), listing, counted: () => ({ ...world, listing }) };
      const scanned = await Promise.race([scanTick(host, { isBegin, dueMs }), died]);
      return scanned?.isLeft ?? true;
    };
    let isLeft = false;
    let dueMs = 0;
    for (let minute = 0; minute < 60; minute += 1) {
      const isBegin = minute % 5 === 0;
      if (isBegin) dueMs = world.nowMs;
      if (isBegin || isLeft) isLeft = await tickOfHost(isBegin, dueMs);
      world.nowMs += MINUTE_MS;
    }
    const rows = (await world.store.listPromotions({ size: 100 })).items;
    expect(rows.map(({ source }) => source.repository).sort()).toEqual(names.filter((name) => name !== poison));
    for (const { repository, state } of await scanRows(world)) {
      if (repository === poison) continue;
      expect(state).toMatchObject({ failures: 0 });
      expect(world.nowMs - Date.parse(state.lastChangeScanAt ?? '')).toBeLessThanOrEqual(DUE_MS + MINUTE_MS);
    }
    expect(deaths).toBeGreaterThan(2);
    expect(deaths).toBeLessThan(10);
  },
);

test('two hosts do not scan one repository at the same time, and a host whose clock is an hour behind scans too', async () => {
  await pushTo(world, 'samples/app', 'v1');
  const [first, second] = await Promise.all([scanTick(world), scanTick(world)]);
  expect(first.started + second.started).toBe(1);
  await endRuns(world, { outcome: 'promoted' });
  // The other host's clock is an hour ahead.
  world.nowMs += HOUR_MS;
  await scanTick(world);
  world.nowMs -= HOUR_MS;
  await pushTo(world, 'samples/app', 'v2');
  world.nowMs += DUE_MS;
  expect(await scanTick(world)).toMatchObject({ started: 1 });
});
