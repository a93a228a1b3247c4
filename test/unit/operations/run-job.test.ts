import { describe, expect, test } from '@jest/globals';
import { runJobDurably } from '../../../src/functions/durable-driver.js';
import type { InputOf, ResultOf } from '../../../src/rows/step-contract.js';
import type { beginJobContract, closeJobContract } from '../../../src/operations/contracts.js';
import { replay, type Played, type Script } from '../../support/replay.js';
import { ROOT, SOURCE, activities, type Answers } from '../../support/scripted.js';

type Begun = ResultOf<typeof beginJobContract>;
type Results = { outcome: InputOf<typeof closeJobContract>['result']['outcome']; code?: string }[];

const COPY: Begun = { operation: 'copy' };
const PROMOTE: Begun = { operation: 'promote', source: SOURCE };
const WANTED = [
  { promotionId: 'p1', generation: 4 },
  { promotionId: 'p2', generation: 1 },
];

async function play(
  changes: Answers,
  more: Partial<Script> = {},
): Promise<Played & { closed: InputOf<typeof closeJobContract>[]; names: string[] }> {
  const closed: InputOf<typeof closeJobContract>[] = [];
  const played = await replay(runJobDurably, {
    input: { runId: 'r1' },
    activities: activities({
      beginJob: () => ({ done: COPY }),
      copy: () => ({ done: { state: 'copied', root: ROOT, copied: 1, existed: 0, mounted: 0, bytes: 1 } }),
      verifyArrival: () => ({ done: { repaired: 0 } }),
      tagCopy: () => ({ done: { digest: ROOT.digest } }),
      closeJob: (input) => {
        closed.push(input);
        return { done: null };
      },
      ...changes,
    }),
    ...more,
  });
  return { ...played, closed, names: played.calls.map(({ name }) => name) };
}

describe('a copy job', () => {
  test('copies, checks the destination, and sets the tags', async () => {
    const played = await play({});
    expect(played.names).toEqual(['beginJob', 'copy', 'verifyArrival', 'tagCopy', 'closeJob']);
    // The tag is resolved once, by the copy: what is tagged is that digest, whatever the tag does meanwhile.
    expect(played.calls.map(({ input }) => input)).toEqual([
      { runId: 'r1' },
      { runId: 'r1', startedMs: expect.any(Number) },
      { runId: 'r1', startedMs: expect.any(Number) },
      { runId: 'r1', root: ROOT },
      { runId: 'r1', result: { outcome: 'completed', digest: ROOT.digest } },
    ]);
    expect(played.output).toEqual({ outcome: 'completed', digest: ROOT.digest });
  });

  test('of a large graph continues over several calls', async () => {
    const played = await play({
      copy: (_input, call) =>
        call < 20
          ? { retryAfterMs: 0 }
          : { done: { state: 'copied', root: ROOT, copied: 1, existed: 0, mounted: 0, bytes: 1 } },
    });
    expect(played.names.filter((name) => name === 'copy')).toHaveLength(20);
    expect(played.timersMs).toEqual([]);
    expect(played.output).toEqual({ outcome: 'completed', digest: ROOT.digest });
  });

  test.each(['beginJob', 'copy', 'verifyArrival', 'tagCopy'] as const)(
    '%s fails for good: the run is ended all the same',
    async (name) => {
      for (const refused of [true, false]) {
        const { closed, error } = await play({ [name]: () => ({ failed: { code: 'X_Y', message: 'no', refused } }) });
        expect(error).toBeUndefined();
        expect(closed.map(({ result }) => result)).toEqual([
          { outcome: refused ? 'refused' : 'failed', code: 'X_Y', reason: 'no' },
        ]);
      }
    },
  );

  test('waits if the lease of the destination is held', async () => {
    const played = await play({
      tagCopy: (_input, call) => (call === 1 ? { retryAfterMs: 2_000 } : { done: { digest: ROOT.digest } }),
    });
    expect(played.timersMs).toEqual([2_000]);
    expect(played.output).toMatchObject({ outcome: 'completed' });
  });

  test('does nothing for an unknown run', async () => {
    const played = await play({ beginJob: () => ({ done: { operation: 'none' } }) });
    expect(played.names).toEqual(['beginJob']);
    expect(played.output).toBeNull();
  });
});

describe('a promote job', () => {
  const promote = (results: Results): Answers => ({
    beginJob: () => ({ done: PROMOTE }),
    incrementPromotions: () => ({ done: WANTED }),
    awaitPromotions: () => ({ done: results }),
  });

  test('increments the generation, and ends with the outcome of the promotion', async () => {
    const played = await play(promote([{ outcome: 'promoted' }]));
    expect(played.names).toEqual(['beginJob', 'incrementPromotions', 'awaitPromotions', 'closeJob']);
    expect(played.calls.at(2)?.input).toEqual({ runId: 'r1', promotions: WANTED });
    expect(played.closed[0]?.result).toEqual({ outcome: 'promoted' });
  });

  test.each([
    [['promoted', 'failed', 'refused'], 'failed'],
    [['unchanged', 'refused', 'promoted'], 'refused'],
    [['unchanged', 'promoted'], 'promoted'],
    [['promoted', 'observed'], 'observed'],
    [['unchanged', 'unchanged'], 'unchanged'],
    [['promoted', 'cancelled'], 'cancelled'],
  ] as const)('of several promotions (%j) the worst counts: %s', async (outcomes, worst) => {
    const played = await play(promote(outcomes.map((outcome) => ({ outcome, code: outcome.toUpperCase() }))));
    expect(played.closed[0]?.result).toEqual({ outcome: worst, code: worst.toUpperCase() });
  });

  test('waits longer than the gate of the rule does', async () => {
    const waited = await play({
      ...promote([]),
      awaitPromotions: (_input, call) => (call < 9 ? { retryAfterMs: 600_000 } : { done: [{ outcome: 'promoted' }] }),
    });
    expect(waited.elapsedMs).toBeGreaterThan(65 * 60_000);
    expect(waited.output).toEqual({ outcome: 'promoted' });
  });

  test('waits at most a day', async () => {
    const waited = await play({ ...promote([]), awaitPromotions: () => ({ retryAfterMs: 3 * 3_600_000 }) });
    expect(Math.round(waited.elapsedMs / 3_600_000)).toBe(24);
    expect(waited.closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'STEP_BUSY' });
  });

  test('is refused if no rule matches', async () => {
    const { closed } = await play({
      ...promote([]),
      incrementPromotions: () => ({ failed: { code: 'NO_RULE_MATCHES', message: 'no', refused: true } }),
    });
    expect(closed[0]?.result).toMatchObject({ outcome: 'refused', code: 'NO_RULE_MATCHES' });
  });
});

describe('any other operation', () => {
  const operation = (changes: Answers = {}): Answers => ({
    beginJob: () => ({ done: { operation: 'run', name: 'resolve' } }),
    runOperation: () => ({ done: { digest: ROOT.digest } }),
    ...changes,
  });

  test('has one step, whose input is only the run', async () => {
    const played = await play(operation());
    expect(played.names).toEqual(['beginJob', 'runOperation', 'closeJob']);
    expect(played.calls.at(1)?.input).toEqual({ runId: 'r1', label: 'resolve', startedMs: expect.any(Number) });
    expect(played.closed).toEqual([{ runId: 'r1', result: { outcome: 'completed', digest: ROOT.digest } }]);
  });

  test('that lists has no digest', async () => {
    const { closed } = await play(operation({ runOperation: () => ({ done: {} }) }));
    expect(closed[0]?.result).toEqual({ outcome: 'completed' });
  });

  test('waits if a lease is held', async () => {
    const played = await play(
      operation({ runOperation: (_input, call) => (call < 3 ? { retryAfterMs: 2_000 } : { done: {} }) }),
    );
    expect(played.timersMs).toHaveLength(2);
    expect(played.closed[0]?.result).toEqual({ outcome: 'completed' });
  });

  test.each([true, false])('ends its run also if the step fails (refused: %s)', async (refused) => {
    const { closed } = await play(
      operation({ runOperation: () => ({ failed: { code: 'X_Y', message: 'no', refused } }) }),
    );
    expect(closed.map(({ result }) => result)).toEqual([
      { outcome: refused ? 'refused' : 'failed', code: 'X_Y', reason: 'no' },
    ]);
  });
});
