import { describe, expect, test } from '@jest/globals';
import { promoteDurably } from '../../../src/functions/durable-driver.js';
import { replay, type Played, type Script } from '../../support/replay.js';
import { OBSERVED, KEY, ROOT, promotion, type Answers } from '../../support/scripted.js';

// How an order runs as an orchestration: attempts, deadline, pauses, and calls of a long step.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DONE = { done: { state: 'copied', root: ROOT, copied: 1, existed: 0, mounted: 0, bytes: 1 } } as const;
const trouble = { code: 'CONNECT_FAILED', message: 'no connection (ECONNREFUSED)', remedy: 'look at it' };

async function play(
  changes: Answers,
  { deadlineMs, ...more }: Partial<Script> & { deadlineMs?: number } = {},
): Promise<Played & { closed: ReturnType<typeof promotion>['closed'] }> {
  const { activities, closed } = promotion(changes);
  const input = { ...KEY, ...(deadlineMs !== undefined && { deadlineMs }) };
  return { ...(await replay(promoteDurably, { input, activities, ...more })), closed };
}
const callsOf = (played: Played, step: string) => played.calls.filter(({ name }) => name === step);

interface Told {
  attempt?: { count: number; sinceMs: number; code?: string; codeSinceMs: number; untilMs: number };
}
const toldOf = (played: Played, step: string) => callsOf(played, step).map(({ input }) => (input as Told).attempt);

describe('an activity that throws, or whose worker dies', () => {
  test.each([
    ['CONNECT_FAILED: localhost:5100 cannot be reached', 'CONNECT_FAILED'],
    ['TOOMANYREQUESTS: slow down', 'TOOMANYREQUESTS'],
    ['STALLED: no bytes for a minute', 'STALLED'],
    ['HTTP_503: the registry answers 503', 'HTTP_503'],
    ['INTERNAL: Cannot read properties of undefined', 'INTERNAL'],
  ])('at every try, is an outcome with its code: %s', async (text, code) => {
    const played = await play({
      copy: () => {
        throw new Error(text);
      },
    });
    expect(callsOf(played, 'copy')).toHaveLength(5);
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'failed', code, digest: ROOT.digest });
    expect(played.closed[0]?.result.reason).not.toContain('Exception');
  });

  test.each(['node exited with code 137', 'The worker channel is shutting down', 'Timeout value of 00:10:00 exceeded'])(
    'at every try, without a word of ours, fails the orchestration: its run is interrupted (%s)',
    async (text) => {
      const played = await play({
        copy: () => {
          throw new Error(text);
        },
      });
      expect(callsOf(played, 'copy')).toHaveLength(5);
      expect(played.error).toContain(text);
      expect(played.closed).toEqual([]);
    },
  );

  test('four times and then succeeds lets the run continue', async () => {
    const { output } = await play({
      copy: (_input, call) => {
        if (call < 5) throw new Error('CONNECT_FAILED: not yet');
        return DONE;
      },
    });
    expect(output).toMatchObject({ outcome: 'promoted' });
  });

  test('at the close fails the orchestration, and the schedule finds the open row', async () => {
    const { error } = await play({
      closeRun: () => {
        throw new Error('STORAGE_UNAVAILABLE: the table is down');
      },
    });
    expect(error).toContain('the table is down');
  });
});

describe('a result that another version wrote ends the run, and leaves no row open', () => {
  test.each([
    ['no reply that is known', { later: 2_000 }],
    ['no result of that step', { done: { plan: 7 } }],
    ['nothing', null],
  ])('%s', async (_what, reply) => {
    const { closed, error } = await play({ copy: () => reply as never });
    expect(error).toBeUndefined();
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'STEP_RESULT_INVALID' });
  });
});

describe('a step that asks to be called again after a pause', () => {
  test('is called after a durable timer of that length, from seconds to a day', async () => {
    const pauses = [2_000, 300_000, 23 * HOUR];
    const played = await play({
      copy: (_input, call) => (call <= pauses.length ? { retryAfterMs: pauses[call - 1] ?? 0, trouble } : DONE),
    });
    expect(played.timersMs).toEqual(pauses);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('gets the number of calls, the time of the first, and since when it has this error', async () => {
    const troubles = [trouble, undefined, trouble, trouble, { ...trouble, code: 'HTTP_503' }];
    const played = await play({
      copy: (_input, call) => {
        const why = troubles[call - 1];
        return call <= troubles.length ? { retryAfterMs: MINUTE, ...(why !== undefined && { trouble: why }) } : DONE;
      },
    });
    const told = toldOf(played, 'copy');
    expect(told.map((attempt) => attempt?.count)).toEqual([undefined, 1, 2, 3, 4, 5]);
    expect(told.map((attempt) => attempt?.code)).toEqual([
      undefined,
      'CONNECT_FAILED',
      undefined,
      'CONNECT_FAILED',
      'CONNECT_FAILED',
      'HTTP_503',
    ]);
    const minutes = (ms = 0): number => Math.round(ms / MINUTE);
    const [, first] = told;
    expect(told.slice(1).map((attempt) => minutes((attempt?.sinceMs ?? 0) - (first?.sinceMs ?? 0)))).toEqual([
      0, 0, 0, 0, 0,
    ]);
    expect(told.slice(1).map((attempt) => minutes((attempt?.codeSinceMs ?? 0) - (first?.sinceMs ?? 0)))).toEqual([
      0, 1, 2, 2, 4,
    ]);
  });

  test('is called early if its event arrives', async () => {
    const played = await play(
      { copy: (_input, call) => (call === 1 ? { retryAfterMs: HOUR, trouble, event: 'notify-1' } : DONE) },
      { event: ([name]) => name },
    );
    expect(played.waits).toEqual(['notify-1']);
    expect(played.timersMs).toEqual([]);
    expect(played.elapsedMs).toBeLessThan(MINUTE);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test.each([
    ['a day, where the input says nothing', undefined, 24 * HOUR],
    ['the rule’s', 90 * MINUTE, 90 * MINUTE],
  ])('not for ever: at the deadline (%s) the run fails with the last trouble', async (_whose, deadlineMs, spentMs) => {
    const played = await play(
      {
        observe: (_input, call) => (call < 4 ? { retryAfterMs: 20 * MINUTE } : { done: OBSERVED }),
        copy: () => ({ retryAfterMs: 25 * MINUTE, trouble }),
      },
      deadlineMs === undefined ? {} : { deadlineMs },
    );
    expect(Math.round((played.elapsedMs - spentMs) / 1000)).toBe(0);
    expect(played.closed[0]?.result).toMatchObject({
      outcome: 'failed',
      code: 'CONNECT_FAILED',
      reason: expect.stringMatching(/^given up: copy was tried \d+ times in .*: no connection/),
      remedy: 'look at it',
    });
  });

  test('is called at the deadline if its Retry-After is later', async () => {
    const played = await play(
      { copy: (_input, call) => (call === 1 ? { retryAfterMs: 24 * HOUR, trouble } : DONE) },
      { deadlineMs: HOUR },
    );
    expect(Math.round(played.elapsedMs / MINUTE)).toBe(60);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('ends as busy if it waits until the deadline', async () => {
    const played = await play({ tagDestination: () => ({ retryAfterMs: HOUR }) });
    expect(Math.round(played.elapsedMs / HOUR)).toBe(24);
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'STEP_BUSY' });
  });

  test('has a day to close the run, even after the deadline', async () => {
    const played = await play(
      {
        copy: () => ({ retryAfterMs: HOUR, trouble }),
        closeRun: (_input, call) => (call < 3 ? { retryAfterMs: HOUR, trouble } : { done: 'closed' }),
      },
      { deadlineMs: 10 * MINUTE },
    );
    expect(played.error).toBeUndefined();
    expect(Math.round(played.elapsedMs / MINUTE)).toBe(130);
  });
});

describe('a long step that continues', () => {
  const goesOn = { retryAfterMs: 0 };

  test.each(['observe', 'attach', 'copy', 'verifyArrival'] as const)(
    '%s is called again with the same input, and no timer',
    async (step) => {
      const plain = await play({});
      const { activities } = promotion();
      const done = activities[step] as (input: unknown, call: number) => never;
      const played = await play({ [step]: (input: unknown, call: number) => (call < 30 ? goesOn : done(input, call)) });
      expect(played.timersMs).toEqual([]);
      expect(callsOf(played, step)).toHaveLength(30);
      expect(new Set(callsOf(played, step).map(({ input }) => JSON.stringify(input))).size).toBe(1);
      expect(played.output).toEqual(plain.output);
      expect(played.closed).toEqual(plain.closed);
    },
  );

  test('gets the time of its first call in each call, even after a backoff', async () => {
    const replies = [goesOn, { retryAfterMs: MINUTE, trouble }, goesOn, DONE];
    const played = await play({ copy: (_input, call) => replies[call - 1] ?? DONE });
    const told = callsOf(played, 'copy').map(({ input }) => (input as { startedMs?: number }).startedMs);
    expect(told).toHaveLength(4);
    expect(new Set(told).size).toBe(1);
    expect(typeof told[0]).toBe('number');
  });

  test('may continue after the deadline, which is only for errors', async () => {
    const played = await play(
      {
        copy: (_input, call) => {
          if (call === 40) return DONE;
          return call % 2 === 1 ? { retryAfterMs: 5 * MINUTE } : goesOn;
        },
      },
      { deadlineMs: 100 * MINUTE },
    );
    expect(played.elapsedMs).toBeGreaterThan(99 * MINUTE);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('is called at most 500 times', async () => {
    const played = await play({ copy: () => goesOn }, { twiceEvery: 100 });
    expect(callsOf(played, 'copy')).toHaveLength(500);
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'STEP_TOO_LONG' });
    expect(played.closed[0]?.result.remedy).toBeDefined();
  });

  test('may wait in between, and continues', async () => {
    const played = await play({
      copy: (_input, call) => {
        if (call === 3) return { retryAfterMs: 30_000, trouble };
        return call < 6 ? goesOn : DONE;
      },
    });
    expect(played.timersMs).toEqual([30_000]);
    // What it waited for is over once it goes on.
    expect(toldOf(played, 'copy').map((attempt) => attempt?.code)).toEqual([
      undefined,
      undefined,
      undefined,
      'CONNECT_FAILED',
      undefined,
      undefined,
    ]);
  });

  test('keeps the count of calls if it still waits for the same error', async () => {
    const late = { code: 'REFERRER_UNKNOWN', message: 'not there' };
    const played = await play({
      copy: (_input, call) => {
        if (call === 9) return DONE;
        return call % 3 === 0 ? { retryAfterMs: MINUTE, trouble: late } : { retryAfterMs: 0, trouble: late };
      },
    });
    expect(toldOf(played, 'copy').map((attempt) => attempt?.count)).toEqual([
      undefined,
      undefined,
      undefined,
      1,
      1,
      1,
      2,
      2,
      2,
    ]);
  });

  test.each([
    ['RUN_CANCELLED', false, 'cancelled'],
    ['SUPERSEDED', false, 'superseded'],
    ['DENIED', false, 'failed'],
    ['DESTINATION_TAKEN', true, 'refused'],
  ])('%s in the middle: the run ends as it would have at once', async (code, refused, outcome) => {
    const failed = { code, message: 'no', refused };
    const played = await play({ copy: (_input, call) => (call < 3 ? goesOn : { failed }) });
    expect(played.output).toMatchObject({ outcome });
    expect(played.calls.at(-1)?.name).toBe('closeRun');
  });
});

test('the history is small, because activities get only ids and digests', async () => {
  const { calls } = await play({
    checkEvidence: () => ({ done: { state: 'passed', generation: 1 } }),
    observe: () => ({ done: { ...OBSERVED, gate: 'closed' } }),
  });
  for (const { name, input } of calls) {
    if (name !== 'closeRun') expect(JSON.stringify(input).length).toBeLessThan(400);
  }
});
