import { describe, expect, test } from '@jest/globals';
import { TICK_EVERY_MS, handleTickMessage, reviveClock, type TickState } from '../../../src/schedule/clock.js';
import { newWorld, type World } from '../../support/world.js';
import { ClockHosts, type Harm, type Plan } from './clock-hosts.js';

const HOUR_MS = 3_600_000;
const FOUR = [0, 0, 0, 0];
/**
 * The longest gap after the loop stopped: three minutes without a write, up to a minute until the timer, and the
 * message's delay.
 */
const LONGEST_GAP_MS = 5 * 60_000;

async function played(plan: Plan, minutes: number): Promise<ClockHosts> {
  const hosts = new ClockHosts(plan);
  await hosts.run(minutes);
  return hosts;
}

/** In the last ten minutes there is exactly one loop: one tick a minute. */
function expectOneLoop(hosts: ClockHosts, where: string): void {
  const gaps = hosts.gaps(hosts.passedMs - 10 * 60_000);
  expect({ where, ticks: gaps.length >= 7, slow: gaps.filter((ms) => ms > 85_000) }).toEqual({
    where,
    ticks: true,
    slow: [],
  });
  expect({ where, fast: gaps.filter((ms) => ms < 45_000) }).toEqual({ where, fast: [] });
  expect({ where, gaps: hosts.gaps().filter((ms) => ms > LONGEST_GAP_MS) }).toEqual({ where, gaps: [] });
}

describe('the loop over four hosts', () => {
  test('ticks once a minute and leaves no message behind', async () => {
    const hosts = await played({ seed: 1, skewsMs: FOUR }, 60);
    expectOneLoop(hosts, 'an hour');
    expect(hosts.ticks.length).toBeGreaterThan(50);
    expect(hosts.queue).toHaveLength(1);
    expect(hosts.poison).toEqual([]);
  });

  const HARMS: Harm[] = (['crash', 'fail', 'sleep'] as const).flatMap((how) =>
    (['before', 'after'] as const).map((when) => ({ how, when })),
  );

  test.each(HARMS)('continues as one loop after trouble at any one call of a port: $how $when', async (harm) => {
    // Two calls start the loop, each tick has three, and the timer has one.
    for (let nth = 1; nth <= 20; nth += 1) {
      const hosts = await played({ seed: nth, skewsMs: FOUR, harm: (call) => (call === nth ? harm : undefined) }, 30);
      expectOneLoop(hosts, `${harm.how} ${harm.when} call ${nth}`);
    }
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'continues as one loop after an hour in which every tenth call meets trouble, seed %i',
    async (seed) => {
      const harm = (call: number, nowMs: number): Harm | undefined =>
        nowMs < HOUR_MS && (call * 7 + seed) % 10 === 0 ? HARMS[(call + seed) % HARMS.length] : undefined;
      const plan = { seed, skewsMs: FOUR, harm, twice: seed % 2 === 0 };
      const hosts = await played(plan, 90);
      const gaps = hosts.gaps(HOUR_MS + 20 * 60_000);
      expect(gaps.filter((ms) => ms > 85_000)).toEqual([]);
      expect(gaps.length).toBeGreaterThanOrEqual(7);
      // A duplicate that arrives while the first message is handled also runs a tick, but starts no second loop.
      const fast = gaps.filter((ms) => ms < 45_000);
      expect(fast.length).toBeLessThanOrEqual(plan.twice ? 3 : 0);
    },
  );

  test('drops the second delivery of a message, however late it is', async () => {
    const hosts = await played({ seed: 3, skewsMs: FOUR, twice: true, tickMs: () => 1_000 }, 60);
    expect(hosts.ticks.length).toBeLessThan(62 * 1.2);
    expect(Math.max(...hosts.gaps())).toBeLessThan(85_000);
  });

  test('is started again after storage failed for so long that its message became poison', async () => {
    const harm = (_call: number, nowMs: number): Harm | undefined =>
      nowMs > 5 * 60_000 && nowMs < 10 * 60_000 ? { how: 'fail', when: 'before' } : undefined;
    const hosts = await played({ seed: 4, skewsMs: FOUR, harm }, 40);
    expect(hosts.poison).toHaveLength(1);
    const gaps = hosts.gaps(hosts.passedMs - 10 * 60_000);
    expect(gaps.filter((ms) => ms < 45_000 || ms > 85_000)).toEqual([]);
    expect(Math.max(...hosts.gaps())).toBeLessThan(5 * 60_000 + LONGEST_GAP_MS);
  });

  test('is started again while a tick hangs, and the tick that hung starts no second loop', async () => {
    const tickMs = (nowMs: number): number => (nowMs > 300_000 && nowMs < 370_000 ? 15 * 60_000 : 5_000);
    expectOneLoop(await played({ seed: 5, skewsMs: FOUR, tickMs }, 60), 'a tick of a quarter of an hour');
  });

  test.each([[[0, HOUR_MS, -HOUR_MS, 0]], [[HOUR_MS, HOUR_MS, 0, 0]], [[0, 10_000, -10_000, 100_000]]])(
    'ticks once a minute although the clocks differ: %p',
    async (skewsMs) => {
      const hosts = await played({ seed: 6, skewsMs }, 120);
      expect(hosts.ticks.length).toBeGreaterThan(90);
      expect(hosts.ticks.length).toBeLessThan(125);
      expect(hosts.gaps().filter((ms) => ms > 2 * TICK_EVERY_MS + 30_000)).toEqual([]);
    },
  );
});

describe('the state that one tick passes to the next', () => {
  let world: World;
  const sent = (): { text: string; delaySeconds: number } => world.queues.sent.at(-1) ?? { text: '', delaySeconds: 0 };
  const begun = async (): Promise<void> => {
    world = newWorld();
    expect(await reviveClock(world)).toBe(true);
  };
  const next = (tick: (state: TickState) => Promise<TickState>): Promise<boolean> =>
    handleTickMessage(world, sent().text, tick);

  test('is kept when the loop is started again', async () => {
    await begun();
    const kept = { dueAt: '2026-01-01T00:00:00.000Z', started: 7, scans: 'begun' as const };
    expect(await next(async () => kept)).toBe(true);
    world.nowMs += 4 * 60_000;
    expect(await reviveClock(world)).toBe(true);
    let seen: TickState | undefined;
    await next(async (state) => (seen = state));
    expect(seen).toEqual(kept);
  });

  test('ticks start a minute apart, and at least ten seconds after the last one ended', async () => {
    await begun();
    const after = async (ms: number): Promise<number> => {
      await next(async (state) => {
        world.nowMs += ms;
        return state;
      });
      return sent().delaySeconds;
    };
    expect(await after(12_000)).toBe(48);
    expect(await after(90_000)).toBe(10);
    // The clock was changed.
    expect(await after(-HOUR_MS)).toBe(60);
  });

  test('the state of another version of the code is discarded, and the loop continues', async () => {
    await begun();
    const note = await world.store.getNote('clock');
    const row = JSON.parse(note?.value ?? '') as object;
    await world.store.putNote('clock', JSON.stringify({ ...row, state: { version: 2 }, more: 1 }), note?.version);
    let seen: TickState | undefined;
    expect(await next(async (state) => (seen = state))).toBe(true);
    expect(seen).toEqual({ started: 0 });
  });

  test('a row that cannot be parsed is replaced', async () => {
    await begun();
    const note = await world.store.getNote('clock');
    await world.store.putNote('clock', 'rubbish', note?.version);
    expect(await next(async (state) => state)).toBe(false);
    expect(await reviveClock(world)).toBe(true);
    expect(await next(async (state) => state)).toBe(true);
  });

  test.each(['rubbish', '{}', '{"id":"another"}', '7'])('the message %s starts no tick', async (text) => {
    await begun();
    expect(await handleTickMessage(world, text, () => Promise.reject(new Error('it ticks')))).toBe(false);
    expect(world.queues.sent).toHaveLength(1);
  });

  test.each(['send', 'putNote'] as const)(
    'a tick whose %s fails is repeated when its message is delivered again',
    async (method) => {
      await begun();
      const { text } = sent();
      const { queues, store } = world;
      const broken = {
        ...world,
        queues: method === 'send' ? { send: () => Promise.reject(new Error('down')) } : queues,
        store: {
          getNote: store.getNote.bind(store),
          putNote: method === 'putNote' ? () => Promise.reject(new Error('down')) : store.putNote.bind(store),
        },
      };
      await expect(handleTickMessage(broken, text, async (state) => state)).rejects.toThrow('down');
      expect(await handleTickMessage(world, text, async (state) => state)).toBe(true);
      expect(await next(async (state) => state)).toBe(true);
    },
  );

  test('a tick whose host slept while another tick ran writes nothing', async () => {
    await begun();
    const { text } = sent();
    await handleTickMessage(world, text, async (old) => {
      await handleTickMessage(world, text, async (state) => ({ ...state, started: 5 }));
      return { ...old, started: 1 };
    });
    const [, faster] = world.queues.sent;
    let seen: TickState | undefined;
    expect(await handleTickMessage(world, faster?.text, async (state) => (seen = state))).toBe(true);
    expect(seen).toEqual({ started: 5 });
  });

  test('a row written by a clock that was an hour ahead does not stop the loop from being started again', async () => {
    world = newWorld();
    world.nowMs += HOUR_MS;
    await reviveClock(world);
    world.nowMs -= HOUR_MS;
    expect(await reviveClock(world)).toBe(true);
  });

  test('a running loop is not started again', async () => {
    await begun();
    world.nowMs += 2 * 60_000;
    expect(await reviveClock(world)).toBe(false);
    expect(await Promise.all([1, 2].map(async () => reviveClock(world)))).toEqual([false, false]);
    expect(world.queues.sent).toHaveLength(1);
  });

  test('if two hosts start the loop at once, one loop runs', async () => {
    world = newWorld();
    expect((await Promise.all([reviveClock(world), reviveClock(world)])).filter(Boolean)).toHaveLength(1);
    const ticked = await Promise.all(
      world.queues.sent.map(({ text }) => handleTickMessage(world, text, async (state) => state)),
    );
    expect(ticked.filter(Boolean)).toHaveLength(1);
  });
});
