import fc from 'fast-check';
import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { ActivityReply } from '../../../src/functions/durable-driver.js';
import { BACKOFF, busyPauseMs, troublePauseMs, type Attempt } from '../../../src/promotions/backoff.js';
import {
  ConfigurationError,
  CopyError,
  InputError,
  IntegrityError,
  PromoterError,
  RegistryError,
  TransportError,
  type RegistryErrorInfo,
} from '../../../src/oci/index.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { SOURCE, newWorld, openRun, type World } from '../../support/world.js';
import { newPlayedWorld } from '../../support/played-world.js';
import { register, type Registered } from '../../support/registered.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function answer(status: number, code: string, more: Partial<RegistryErrorInfo> = {}): RegistryError {
  const info = { method: 'GET', url: 'https://r/v2/', status, registryCodes: [code], ...more };
  return new RegistryError(`r answers ${status}`, info, { code });
}
const inCopy = (error: PromoterError): CopyError =>
  new CopyError(error.code, `push blob at the destination: ${error.message}`, {
    cause: error,
    transient: error.transient,
  });
const refused = new TransportError('CONNECT_FAILED', 'no connection (ECONNREFUSED)', {
  details: { causes: ['ECONNREFUSED'] },
  remedy: 'look at it',
});
const nameless = new TransportError('CONNECT_FAILED', 'no connection (ENOTFOUND)', {
  details: { causes: ['ENOTFOUND'] },
});

let world: World;
let app: Registered;
let warnings: string[];

beforeEach(() => {
  world = newWorld();
  app = register(world);
  warnings = [];
});

/** A step that breaks: the run's first, or a job's operation, whose port throws. */
async function breaking(thrown: unknown, attempt?: Partial<Attempt>, name = 'observe') {
  const run = await openRun(world);
  world.store.getRun = () => Promise.reject(thrown);
  const context = new InvocationContext({
    functionName: name,
    logHandler: (_level, ...args) => void warnings.push(args.join(' ')),
  });
  const now = world.nowMs;
  const told = attempt && { count: 1, sinceMs: now, codeSinceMs: now, untilMs: now + HOUR, ...attempt };
  const input = { ...run, label: 'resolve', ...(told && { attempt: told }) };
  const reply = (await app.activities.get(name)?.handler(input, context)) as ActivityReply;
  return { reply, rows: await world.store.listProgress(run.runId), runId: run.runId };
}

describe('waited out', () => {
  test.each([
    ['a connection refused', refused],
    ['storage', new TransportError('STORAGE_UNAVAILABLE', 'down')],
    ['the identity’s endpoint', new ConfigurationError('IDENTITY_UNAVAILABLE', 'no token', { transient: true })],
    ['503', answer(503, 'HTTP_503')],
    ['503 in a copy', inCopy(answer(503, 'HTTP_503', { method: 'PUT' }))],
    ['500', answer(500, 'HTTP_500')],
    ['408', answer(408, 'HTTP_408')],
    ['429 without a Retry-After', answer(429, 'TOOMANYREQUESTS')],
    ['a host without a name yet', nameless],
    ['a child that this replica has not yet', answer(404, 'MANIFEST_UNKNOWN')],
    ['a layer that this replica has not yet', inCopy(answer(404, 'BLOB_UNKNOWN'))],
    ['a repository that this replica has not yet', answer(404, 'NAME_UNKNOWN')],
    ['a child that was just pushed', inCopy(answer(400, 'MANIFEST_BLOB_UNKNOWN', { method: 'PUT' }))],
    ['what was just pushed and does not read back', new CopyError('REFERRER_LOST', 'not listed')],
    ['rules that somebody broke', new InputError('RULES_INVALID', 'a slip')],
    ['time that was up', new DOMException('The operation was aborted due to timeout', 'TimeoutError')],
  ])('%s: seconds at first', async (_name, error) => {
    const { reply, rows } = await breaking(error);
    const code = error instanceof PromoterError ? error.code : 'STEP_TIMEOUT';
    expect(reply).toMatchObject({ retryAfterMs: expect.any(Number), trouble: { code } });
    const { retryAfterMs } = reply as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThanOrEqual(0.75 * BACKOFF.firstMs);
    expect(retryAfterMs).toBeLessThanOrEqual(BACKOFF.firstMs);
    expect(rows).toMatchObject([
      { state: 'waiting', text: expect.stringContaining(code), waitsFor: { code, tries: 1 } },
    ]);
  });

  test.each([
    ['429', answer(429, 'TOOMANYREQUESTS', { retryAfterMs: HOUR }), HOUR],
    ['503, in a copy', inCopy(answer(503, 'HTTP_503', { retryAfterMs: 2 * HOUR })), 2 * HOUR],
    ['429, a week', answer(429, 'TOOMANYREQUESTS', { retryAfterMs: 7 * 24 * HOUR }), 24 * HOUR],
  ])('Retry-After is kept to, up to a day: %s', async (_name, error, expected) => {
    const { reply } = await breaking(error);
    expect((reply as { retryAfterMs: number }).retryAfterMs).toBeGreaterThanOrEqual(expected);
    expect((reply as { retryAfterMs: number }).retryAfterMs).toBeLessThan(expected + MINUTE);
  });

  test('is written to the row and the log: the error, the number of tries and the next time', async () => {
    const since = world.nowMs - 10 * MINUTE;
    const { rows } = await breaking(refused, { count: 6, sinceMs: since, codeSinceMs: since, code: 'CONNECT_FAILED' });
    expect(rows).toMatchObject([
      {
        step: 'observe resolve',
        state: 'waiting',
        text: 'CONNECT_FAILED: no connection (ECONNREFUSED)',
        waitsFor: { code: 'CONNECT_FAILED', tries: 7, since: new Date(since).toISOString() },
      },
    ]);
    const nextMs = Date.parse(rows[0]?.waitsFor?.nextAt ?? '') - world.nowMs;
    expect(nextMs).toBeGreaterThan(BACKOFF.firstMs * 2 ** 5);
    expect(nextMs).toBeLessThanOrEqual(BACKOFF.firstMs * 2 ** 6);
    expect(warnings[0]).toMatch(/step="observe resolve" CONNECT_FAILED: .*; tried 7 times, again in [12] min/);
  });

  test('is logged as given up after the last try', async () => {
    const { reply, rows } = await breaking(refused, { count: 6, untilMs: world.nowMs });
    expect(reply).toMatchObject({ trouble: { code: 'CONNECT_FAILED', remedy: 'look at it' } });
    expect(rows).toMatchObject([{ state: 'failed', text: expect.stringContaining('given up after 7 tries') }]);
  });
});

describe('for good', () => {
  test.each([
    ['401 after a fresh token', answer(401, 'UNAUTHORIZED')],
    ['403', inCopy(answer(403, 'DENIED', { method: 'PUT' }))],
    ['400', inCopy(answer(400, 'MANIFEST_INVALID', { method: 'PUT' }))],
    ['405', answer(405, 'HTTP_405')],
    ['415', answer(415, 'HTTP_415')],
    ['a name that is none', answer(400, 'NAME_INVALID')],
    ['no room', answer(507, 'HTTP_507')],
    ['a repository that may not be made', inCopy(answer(404, 'NAME_UNKNOWN', { method: 'POST' }))],
    ['broken bytes', inCopy(new IntegrityError('DIGEST_MISMATCH', 'not what it says'))],
    ['a certificate', new TransportError('CONNECT_FAILED', 'not trusted', { transient: false })],
  ])('%s: at once', async (_name, error) => {
    const { reply, rows } = await breaking(error);
    expect(reply).toMatchObject({ failed: { code: error.code, refused: false } });
    expect(rows).toMatchObject([{ state: 'failed' }]);
  });

  test.each([
    ['a child', answer(404, 'MANIFEST_UNKNOWN')],
    ['a host', nameless],
    ['a layer', new PromoterError('LAYER_TOO_SLOW', 'not read in time', { transient: true })],
  ])('%s that is unknown or too slow for a quarter of an hour ends the step', async (_name, error) => {
    const { code } = error;
    const before = world.nowMs - 15 * MINUTE;
    const early = await breaking(error, { count: 9, sinceMs: before - HOUR, codeSinceMs: before + MINUTE, code });
    expect(early.reply).toMatchObject({ trouble: { code } });
    const other = await breaking(error, { count: 9, sinceMs: before, codeSinceMs: before, code: 'HTTP_503' });
    expect(other.reply).toMatchObject({ trouble: { code } });
    const late = await breaking(error, { count: 9, sinceMs: before, codeSinceMs: before, code });
    expect(late.reply).toMatchObject({ failed: { code, message: expect.stringMatching(/, for 15 min$/) } });
  });

  test('does not include what a job names and does not exist', async () => {
    const { reply } = await breaking(answer(404, 'MANIFEST_UNKNOWN'), undefined, 'runOperation');
    expect(reply).toMatchObject({ failed: { code: 'MANIFEST_UNKNOWN' } });
  });
});

/** What a day of trouble may cost: docs/decisions/retries.md names it. */
const CALLS_OF_A_DAY = 170;

/** Calls within a time, if each ends at once; the last one is at the deadline. */
function callsWithin(ms: number, pause: (attempt: Attempt | undefined, now: number) => number): number {
  let calls = 1;
  let attempt: Attempt | undefined;
  for (let now = 0; now < ms; calls += 1) {
    const sinceMs = attempt?.sinceMs ?? now;
    const pauseMs = pause(attempt, now);
    expect(pauseMs).toBeGreaterThan(0);
    attempt = { count: calls, sinceMs, codeSinceMs: sinceMs, untilMs: ms };
    now += pauseMs;
  }
  return calls;
}

const unasked = { trouble: { code: 'X', message: '' } };

test.each([
  ['trouble', (attempt: Attempt | undefined, now: number) => troublePauseMs(unasked, attempt, now)],
  ['a lease', (attempt: Attempt | undefined, now: number) => busyPauseMs(2_000, attempt, now)],
  ['another run', (attempt: Attempt | undefined, now: number) => busyPauseMs(1_000, attempt, now)],
])('history stays small: %s', (_name, pause) => {
  expect(callsWithin(HOUR, pause)).toBeLessThan(50);
  expect(callsWithin(24 * HOUR, pause)).toBeLessThanOrEqual(CALLS_OF_A_DAY);
});

describe('for any Retry-After', () => {
  // What a call comes to: a Retry-After, trouble without one, or a lease that another holds.
  const answers = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(0, 1, 1_000, 2_000) },
    fc.integer({ min: 0, max: 2 * 24 * HOUR }),
    fc.constantFrom('unasked' as const, 'busy' as const),
  );

  test('the calls of a day are bounded, and no pause is shorter than requested', () => {
    fc.assert(
      fc.property(fc.array(answers, { minLength: 1, maxLength: 200 }), (said) => {
        let call = 0;
        const calls = callsWithin(24 * HOUR, (attempt, now) => {
          // Again and again the same.
          const answer = said[call++ % said.length] ?? 'unasked';
          if (answer === 'busy') return busyPauseMs(1_000, attempt, now);
          const retryAfterMs = answer === 'unasked' ? undefined : answer;
          const pauseMs = troublePauseMs(
            { ...unasked, ...(retryAfterMs !== undefined && { retryAfterMs }) },
            attempt,
            now,
          );
          expect(pauseMs).toBeGreaterThanOrEqual(retryAfterMs ?? 0);
          return pauseMs;
        });
        expect(calls).toBeLessThanOrEqual(CALLS_OF_A_DAY);
      }),
    );
  });

  test('the calls of a day are bounded even with the shortest pauses', () => {
    const dice = jest.spyOn(Math, 'random').mockReturnValue(0);
    const shortest = (attempt: Attempt | undefined, now: number): number =>
      Math.min(troublePauseMs({ ...unasked, retryAfterMs: 0 }, attempt, now), busyPauseMs(1_000, attempt, now));
    expect(callsWithin(24 * HOUR, shortest)).toBeLessThanOrEqual(CALLS_OF_A_DAY);
    dice.mockRestore();
  });

  test.each([0, 1_000])(
    'a destination that is down for an hour and says %d ms: it is promoted, in two dozen calls',
    async (retryAfterMs) => {
      const played = newPlayedWorld(rule({ sbom: { formats: [] }, sign: [] }));
      const { world: place, source, destination, standing, playAll } = played;
      const root = await pushImage(source, { tag: SOURCE.tag });
      const untilMs = place.nowMs + HOUR;
      destination.fault = ({ method }) => {
        if (method === 'pushManifest' && place.nowMs < untilMs)
          throw answer(503, 'HTTP_503', { method: 'POST', retryAfterMs });
      };
      await openRun(place);
      const [{ output, calls } = { calls: [] }] = await playAll();
      expect(output).toMatchObject({ outcome: 'promoted' });
      expect(standing()).toBe(root.digest);
      expect(place.nowMs).toBeGreaterThanOrEqual(untilMs);
      expect(calls.filter(({ name }) => name === 'copy').length).toBeLessThanOrEqual(24);
    },
  );
});
