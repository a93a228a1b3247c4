import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ACTIVE_MS, TransportError, type RateSharing, type Transport } from '../../../../src/oci/index.js';
import { limitRate, type RateClock } from '../../../../src/oci/registry/rate-limit.js';

/** ACR's limit for listing referrers, for one identity and minute. */
const PER_MINUTE = 250;
const MINUTE_MS = 60_000;
/** Milliseconds of a request, and the concurrent requests of a host. */
const ANSWER_MS = 40;
const AT_ONCE = 8;

/** Simulated time, which advances when all work waits. */
class VirtualClock implements RateClock {
  #nowMs = 0;
  readonly #sleepers: { atMs: number; wake: () => void }[] = [];

  nowMs = (): number => this.#nowMs;

  sleepMs = (ms: number): Promise<void> =>
    new Promise((wake) => {
      this.#sleepers.push({ atMs: this.#nowMs + ms, wake });
    });

  async until(ended: () => boolean): Promise<void> {
    while (!ended()) {
      await turn();
      this.#sleepers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#sleepers.shift();
      if (next === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
  }
}

let clock: VirtualClock;
/** Number of answers of the registry in each minute, by status. */
let minutes: { taken: number; refused: number }[];
let joined: number;

beforeEach(() => {
  clock = new VirtualClock();
  minutes = [];
  joined = 0;
});

/**
 * A registry that accepts a number of requests of one identity in each minute and refuses further ones until the minute
 * ends.
 */
const registry: Transport = {
  async send({ url }) {
    await clock.sleepMs(ANSWER_MS);
    const at = Math.floor(clock.nowMs() / MINUTE_MS);
    const minute = (minutes[at] ??= { taken: 0, refused: 0 });
    const isTaken = minute.taken < PER_MINUTE;
    minute[isTaken ? 'taken' : 'refused'] += 1;
    const leftSeconds = Math.ceil(((at + 1) * MINUTE_MS - clock.nowMs()) / 1000);
    const answer = isTaken
      ? { status: 200, headers: {} }
      : { status: 429, headers: { 'retry-after': `${leftSeconds}` } };
    return { ...answer, url, body: (async function* () {})() };
  },
};

/** A table that all hosts share; writes become visible a little later. */
class Rows {
  readonly #at = new Map<string, number>();

  of(host: string): RateSharing {
    return {
      join: async (name, category) => {
        joined += 1;
        expect([name, category]).toEqual(['r.azurecr.io', 'referrers']);
        await clock.sleepMs(ANSWER_MS);
        this.#at.set(host, clock.nowMs());
        return [...this.#at.values()].filter((atMs) => clock.nowMs() - atMs < ACTIVE_MS).length;
      },
    };
  }
}

const TEN_MS = 10 * MINUTE_MS;
const LIST = { method: 'GET', url: 'https://r.azurecr.io/v2/a/referrers/sha256:0', kind: 'api' } as const;

interface Host {
  done: number;
  refused: number;
}

/** A host that sends as many requests as it may, or with pauses, until a time. */
function host(sharing: RateSharing | undefined, pauseMs: number, fromMs: number, untilMs: number): Host {
  const limited = limitRate(registry, {
    limitsFor: () => ({ referrers: PER_MINUTE }),
    maxRetryAfterMs: TEN_MS,
    clock,
    ...(sharing && { sharing }),
  });
  const counts = { done: 0, refused: 0 };
  const worker = async (): Promise<void> => {
    await clock.sleepMs(fromMs);
    while (clock.nowMs() < untilMs) {
      const { status } = await limited.send(LIST);
      counts[status === 200 ? 'done' : 'refused'] += 1;
      await clock.sleepMs(pauseMs);
    }
  };
  for (let index = 0; index < AT_ONCE; index += 1) void worker();
  return counts;
}

const refusedFrom = (minute: number): number => minutes.slice(minute, 10).reduce((sum, each) => sum + each.refused, 0);
const takenFrom = (minute: number): number => minutes.slice(minute, 10).reduce((sum, each) => sum + each.taken, 0);

describe.each([2, 4])('%d hosts that send as many requests as they may', (count) => {
  test("divide the registry's limit: after two minutes nothing is refused and nearly all of it is used", async () => {
    const rows = new Rows();
    const hosts = Array.from({ length: count }, (_, index) => host(rows.of(`h${index}`), 1, 0, TEN_MS));
    await clock.until(() => clock.nowMs() >= TEN_MS);
    expect(refusedFrom(2)).toBe(0);
    expect(takenFrom(2)).toBeGreaterThan(0.9 * 8 * PER_MINUTE);
    // No host exceeds its share.
    const done = hosts.map((each) => each.done);
    expect(Math.max(...done)).toBeLessThan(1.3 * Math.min(...done));
    // A join takes two table requests. There is about one table request for ten requests to the registry.
    expect(joined).toBeLessThan((takenFrom(0) + refusedFrom(0)) / 5);
  }, 60_000);

  test('without sharing, requests are refused each minute', async () => {
    for (let index = 0; index < count; index += 1) host(undefined, 1, 0, TEN_MS);
    await clock.until(() => clock.nowMs() >= TEN_MS);
    expect(refusedFrom(2)).toBeGreaterThan(8 * AT_ONCE);
  }, 60_000);

  test('a new host gets its share within two minutes, and the share of a leaving host is redistributed', async () => {
    const rows = new Rows();
    const first = host(rows.of('first'), 1, 0, TEN_MS);
    const others = Array.from({ length: count - 1 }, (_, index) =>
      host(rows.of(`h${index}`), 1, 2 * MINUTE_MS, 5 * MINUTE_MS),
    );
    await clock.until(() => clock.nowMs() >= TEN_MS);
    expect(minutes[4]?.refused).toBe(0);
    expect(refusedFrom(5)).toBe(0);
    expect(takenFrom(8)).toBeGreaterThan(0.9 * 2 * PER_MINUTE);
    expect(others.every(({ done }) => done > PER_MINUTE / count)).toBe(true);
    expect(first.done).toBeGreaterThan(5 * PER_MINUTE);
  }, 60_000);
});

test('idle hosts take no share from a busy one', async () => {
  const rows = new Rows();
  const busy = host(rows.of('busy'), 1, 0, TEN_MS);
  // Each host sends eight requests every ten minutes.
  const idle = [1, 2, 3].map((index) => host(rows.of(`idle${index}`), TEN_MS, 0, TEN_MS));
  await clock.until(() => clock.nowMs() >= TEN_MS);
  expect(idle.map(({ done, refused }) => done + refused)).toEqual([8, 8, 8]);
  expect(busy.done).toBeGreaterThan(9 * PER_MINUTE);
});

describe('an unavailable table', () => {
  const failing = (fault: Error): RateSharing => ({
    join: async () => {
      throw fault;
    },
  });

  test('delays no request: each host uses the whole limit and obeys Retry-After', async () => {
    const busy = host(failing(new TransportError('STORAGE_UNAVAILABLE', 'down')), 1, 0, 2 * MINUTE_MS);
    await clock.until(() => clock.nowMs() >= 2 * MINUTE_MS);
    expect(busy.done).toBeGreaterThan(1.9 * PER_MINUTE);
  });

  test('emits a warning for a bug in the adapter', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    host(failing(new RangeError('a bug')), 1, 0, MINUTE_MS / 2);
    await clock.until(() => clock.nowMs() >= MINUTE_MS / 2);
    expect(warned).toHaveBeenCalled();
    warned.mockRestore();
  });
});

test('requests that wait for a Retry-After also wait for a later one', async () => {
  const seen: number[] = [];
  const refusing: Transport = {
    async send({ url }) {
      seen.push(clock.nowMs());
      await clock.sleepMs(ANSWER_MS);
      const isOver = clock.nowMs() >= 25_000;
      const answer = isOver ? { status: 200, headers: {} } : { status: 429, headers: { 'retry-after': '10' } };
      return { ...answer, url, body: (async function* () {})() };
    },
  };
  const limited = limitRate(refusing, { clock, maxRetryAfterMs: 60_000 });
  let ended = 0;
  const send = async (): Promise<void> => {
    while ((await limited.send(LIST)).status !== 200);
    ended += 1;
  };
  void send();
  await clock.until(() => seen.length === 1 && clock.nowMs() > ANSWER_MS / 2);
  for (let index = 0; index < 20; index += 1) void send();
  await clock.until(() => ended === 21);
  // Because of jitter, the first request that returns is refused on behalf of all others that were not sent at the same
  // time.
  expect(seen.length).toBeLessThan(21 + 2 * 8);
});

test('a Retry-After of years stops a host for only ten minutes', async () => {
  const refusing: Transport = {
    send: async ({ url }) => ({
      status: 429,
      headers: { 'retry-after': '999999999' },
      url,
      body: (async function* () {})(),
    }),
  };
  const limited = limitRate(refusing, { clock });
  await limited.send(LIST);
  await expect(limited.send(LIST)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS', info: { retryAfterMs: 600_000 } });
});
