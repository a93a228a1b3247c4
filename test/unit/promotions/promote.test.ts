import { describe, expect, test } from '@jest/globals';
import { driveHere } from '../../../src/cli/local-driver.js';
import { promoteDurably } from '../../../src/functions/durable-driver.js';
import { promote } from '../../../src/promotions/promote.js';
import { replay, type Played, type Script } from '../../support/replay.js';
import { DESTINATION, GATED, OBSERVED, KEY, ROOT, promotion, type Answers } from '../../support/scripted.js';

// The order of a promotion, run by the durable driver; at the end by the local one, which gives the same.

const MINUTE = 60_000;

async function play(
  changes: Answers,
  { deadlineMs, ...more }: Partial<Script> & { deadlineMs?: number } = {},
): Promise<Played & { closed: ReturnType<typeof promotion>['closed'] }> {
  const { activities, closed } = promotion(changes);
  const input = { ...KEY, ...(deadlineMs !== undefined && { deadlineMs }) };
  const played = await replay(promoteDurably, { input, activities, ...more });
  return { ...played, calls: played.calls.map(withoutStart), closed };
}
/** Since when a long step is at work is the driver's to say. */
function withoutStart({ name, input }: Played['calls'][number]): Played['calls'][number] {
  const { startedMs: _startedMs, ...rest } = input as Record<string, unknown>;
  return { name, input: rest };
}
/** Whole seconds: a turn takes a millisecond here. */
const seconds = (played: Played): number[] => played.timersMs.map((ms) => Math.round(ms / 1000));
const names = (played: Played): string[] => played.calls.map(({ name }) => name);
const failed = (code: string, refused: boolean) => () => ({
  failed: { code, message: 'no', refused, remedy: 'do it right' },
});
const WHOLE = ['observe', 'attach', 'copy', 'verifyArrival', 'tagDestination', 'closeRun'];

describe('a promotion', () => {
  test('has six activities, each with its run and what was observed', async () => {
    const played = await play({});
    expect(names(played)).toEqual(WHOLE);
    expect(played.output).toEqual({ outcome: 'promoted', digest: ROOT.digest });
    expect(played.calls.map(({ input }) => input)).toEqual([
      KEY,
      { ...KEY, root: ROOT.digest },
      { ...KEY, root: ROOT.digest },
      KEY,
      { ...KEY, root: ROOT },
      expect.objectContaining(KEY),
    ]);
    expect(played.closed).toEqual([
      {
        ...KEY,
        generation: 1,
        result: { outcome: 'promoted', digest: ROOT.digest },
        did: [
          'attached SBOM',
          'attached signature',
          'copied 4, mounted 5, 1 were there',
          expect.stringMatching(/^tagged /),
        ],
      },
    ]);
  });

  test('reports referrers that were pushed again', async () => {
    const { closed } = await play({ verifyArrival: () => ({ done: { repaired: 2 } }) });
    expect(closed[0]?.did).toContain('put 2 referrers again');
  });

  test('only copies if the rule has no SBOM and no signature', async () => {
    const { attachTo: _nothing, ...observed } = OBSERVED;
    const played = await play({ observe: () => ({ done: observed }) });
    expect(names(played)).toEqual(WHOLE.filter((name) => name !== 'attach'));
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('attaches at the destination after the arrival check and before the tag', async () => {
    const played = await play({ observe: () => ({ done: { ...OBSERVED, attachTo: 'destination' } }) });
    expect(names(played)).toEqual(['observe', 'copy', 'verifyArrival', 'attach', 'tagDestination', 'closeRun']);
  });
});

describe('a promotion ends early', () => {
  test('without a close if another run owns the row', async () => {
    const played = await play({ observe: () => ({ done: { state: 'gone' } }) });
    expect(names(played)).toEqual(['observe']);
    expect(played.output).toBeNull();
  });

  test('as unchanged if nothing differs', async () => {
    const played = await play({ observe: () => ({ done: { ...OBSERVED, differences: [] } }) });
    expect(names(played)).toEqual(['observe', 'closeRun']);
    expect(played.output).toEqual({ outcome: 'unchanged', digest: ROOT.digest });
  });

  test('as unchanged with reason and digest if there is nothing to promote', async () => {
    const gone = { state: 'nothing', generation: 4, code: 'SOURCE_GONE', reason: 'not there' } as const;
    expect((await play({ observe: () => ({ done: gone }) })).output).toEqual({
      outcome: 'unchanged',
      code: 'SOURCE_GONE',
      reason: 'not there',
    });
    const referrer = { ...gone, code: 'IS_REFERRER', digest: ROOT.digest };
    expect((await play({ observe: () => ({ done: referrer }) })).output).toMatchObject({ digest: ROOT.digest });
  });

  test('as refused with the digest if a policy forbids it', async () => {
    const taken = {
      state: 'refused',
      generation: 4,
      code: 'DESTINATION_TAKEN',
      reason: 'no',
      remedy: 'x',
      digest: ROOT.digest,
    } as const;
    const played = await play({ observe: () => ({ done: taken }) });
    const { state: _refused, generation, ...rest } = taken;
    expect(played.closed[0]).toMatchObject({ generation, result: { outcome: 'refused', ...rest } });
  });

  test('with its differences if the rule only observes, and does nothing', async () => {
    const played = await play({ observe: () => ({ done: { ...OBSERVED, mode: 'observe' } }) });
    expect(names(played)).toEqual(['observe', 'closeRun']);
    expect(played.output).toMatchObject({ outcome: 'observed', reason: expect.stringContaining('is not there') });
  });

  test('as superseded if the tag moves before the copy is planned or the tag is written', async () => {
    const early = await play({ copy: () => ({ done: { state: 'superseded' } }) });
    expect(names(early)).not.toContain('verifyArrival');
    expect(early.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
    const late = await play({ tagDestination: () => ({ done: { state: 'superseded', reference: DESTINATION } }) });
    expect(late.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
  });

  test('without a close if another run takes the row before the tag is written', async () => {
    const played = await play({ tagDestination: () => ({ done: { state: 'gone', reference: DESTINATION } }) });
    expect(played.closed).toEqual([]);
    expect(played.output).toBeNull();
  });

  test.each(['observe', 'attach', 'copy', 'verifyArrival', 'tagDestination'] as const)(
    'if %s fails permanently, and the row is closed as failed or refused',
    async (name) => {
      for (const refused of [false, true]) {
        const { closed, error } = await play({ [name]: failed('SOME_CODE', refused) });
        expect(error).toBeUndefined();
        expect(closed).toHaveLength(1);
        expect(closed[0]?.result).toMatchObject({
          outcome: refused ? 'refused' : 'failed',
          code: 'SOME_CODE',
          reason: 'no',
          remedy: 'do it right',
        });
        expect(closed[0]?.result.digest).toBe(name === 'observe' ? undefined : ROOT.digest);
      }
    },
  );

  test('before it has read a generation, and the close has none', async () => {
    const { closed } = await play({ observe: failed('ROW_UNREADABLE', false) });
    expect(closed[0]).not.toHaveProperty('wanted');
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'ROW_UNREADABLE' });
  });
});

describe('the evidence gate', () => {
  const closedGate = (generation: number) => ({
    done: { state: 'closed' as const, generation, reasons: ['no signature yet'], evidence: 'e0' },
  });
  const passed = (generation: number) => ({ done: { state: 'passed' as const, generation } });
  const gated: Answers = { observe: () => ({ done: GATED }), markWaiting: () => ({ done: 'waiting' }) };

  test('is passed at once if the evidence is there', async () => {
    const played = await play({ ...gated, checkEvidence: () => passed(3) });
    expect(names(played)).toEqual(['observe', 'checkEvidence', ...WHOLE.slice(1)]);
    expect(played.closed[0]).toMatchObject({ generation: 3, result: { outcome: 'promoted' } });
  });

  test('waits, is woken and checks again; each wait has its own event', async () => {
    const played = await play(
      { ...gated, checkEvidence: (_input, call) => (call < 3 ? closedGate(call) : passed(7)) },
      { event: ([name]) => name },
    );
    expect(played.waits).toEqual(['evidence-1', 'evidence-2']);
    expect(played.timersMs).toEqual([]);
    expect(played.closed[0]).toMatchObject({ generation: 7, result: { outcome: 'promoted' } });
    expect(played.calls.filter(({ name }) => name === 'markWaiting').map(({ input }) => input)).toEqual([
      { ...KEY, generation: 1, event: 'evidence-1', reasons: ['no signature yet'], pauseMs: 0 },
      { ...KEY, generation: 2, event: 'evidence-2', reasons: ['no signature yet'], pauseMs: 0 },
    ]);
  });

  test('checks every five minutes without an event', async () => {
    const played = await play({ ...gated, checkEvidence: (_input, call) => (call < 3 ? closedGate(1) : passed(1)) });
    expect(seconds(played)).toEqual([300, 300]);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('checks again at once if a trigger came during the check', async () => {
    const played = await play({
      ...gated,
      checkEvidence: (_input, call) => (call < 2 ? closedGate(1) : passed(2)),
      markWaiting: () => ({ done: 'again' }),
    });
    expect(played.waits).toEqual([]);
    expect(played.closed[0]).toMatchObject({ generation: 2 });
  });

  test('is not woken by an event of an earlier wait', async () => {
    const played = await play(
      { ...gated, checkEvidence: (_input, call) => (call < 4 ? closedGate(call) : passed(4)) },
      // The first wait ends by its timer; its event comes during the second, and wakes nobody.
      { event: (waitedFor) => (waitedFor.length === 2 ? waitedFor[0] : undefined) },
    );
    expect(seconds(played)).toEqual([300, 300, 300]);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('refuses after an hour, with what was missing at the last check', async () => {
    const played = await play({ ...gated, checkEvidence: () => closedGate(5) });
    expect(played.elapsedMs).toBeGreaterThanOrEqual(60 * MINUTE);
    expect(played.elapsedMs).toBeLessThan(61 * MINUTE);
    expect(names(played)).not.toContain('attach');
    expect(played.closed[0]).toMatchObject({
      generation: 5,
      result: { outcome: 'refused', code: 'EVIDENCE_MISSING', reason: 'no signature yet', digest: ROOT.digest },
    });
    expect(played.closed[0]?.result.remedy).toBeDefined();
  });

  test('checks less often after five checks, about fifty times in an hour', async () => {
    const paused: number[] = [];
    const played = await play(
      {
        ...gated,
        checkEvidence: (_input, call) => closedGate(call),
        markWaiting: ({ pauseMs }, call) => {
          paused.push(pauseMs);
          return pauseMs > 0 && call % 2 === 0 ? { retryAfterMs: pauseMs } : { done: 'again' };
        },
      },
      { deadlineMs: 10_000, twiceEvery: 20 },
    );
    expect(paused.slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(names(played).filter((name) => name === 'checkEvidence').length).toBeLessThan(120);
    // The rule's deadline was over long before, which is for trouble.
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'refused', code: 'EVIDENCE_MISSING' });
    expect(played.elapsedMs).toBeLessThan(61 * MINUTE);
  });

  test('ends the run as superseded if the tag moves meanwhile', async () => {
    const played = await play({ ...gated, checkEvidence: () => ({ done: { state: 'superseded' } }) });
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
  });

  test.each(['checkEvidence', 'markWaiting'] as const)(
    'does not close a row that another run has taken (%s)',
    async (step) => {
      const played = await play({
        ...gated,
        checkEvidence: () => (step === 'checkEvidence' ? { done: { state: 'gone' } } : closedGate(1)),
        markWaiting: () => ({ done: 'gone' }),
      });
      expect(played.closed).toEqual([]);
      expect(played.output).toBeNull();
    },
  );

  test('a trust store that cannot be read fails the run', async () => {
    const { closed } = await play({ ...gated, checkEvidence: failed('TRUST_STORE_INVALID', false) });
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'TRUST_STORE_INVALID' });
  });
});

describe('if nothing differs and the rule requires evidence', () => {
  const inPlace = (changes: Partial<typeof OBSERVED>) => () => ({
    done: { ...OBSERVED, differences: [], gate: 'closed' as const, ...changes },
  });
  const closedGate = {
    done: { state: 'closed' as const, generation: 1, reasons: ['no signature yet'], evidence: 'e0' },
  };
  const passed = (generation = 1) => ({ done: { state: 'passed' as const, generation } });
  const waiting: Answers = { markWaiting: () => ({ done: 'waiting' }) };

  test('the gate is checked unless it passed before', async () => {
    const played = await play({ observe: inPlace({}), checkEvidence: () => passed() });
    expect(names(played)).toEqual(['observe', 'checkEvidence', 'closeRun']);
    expect(played.output).toMatchObject({ outcome: 'unchanged', digest: ROOT.digest });
  });

  test('missing evidence is refused after an hour, as for a new image, and the state is no longer in sync', async () => {
    const played = await play({ ...waiting, observe: inPlace({}), checkEvidence: () => closedGate });
    expect(played.elapsedMs).toBeGreaterThanOrEqual(60 * MINUTE);
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'refused', code: 'EVIDENCE_MISSING', evidence: 'e0' });
    expect(names(played)).not.toContain('attach');
  });

  test('evidence that came during the wait is copied', async () => {
    const later = await play({
      ...waiting,
      observe: inPlace({}),
      checkEvidence: (_input, call) => (call < 2 ? closedGate : passed()),
    });
    const raised = await play({ observe: inPlace({}), checkEvidence: () => passed(2) });
    for (const played of [later, raised]) {
      expect(names(played)).toContain('copy');
      expect(played.output).toMatchObject({ outcome: 'promoted' });
    }
  });

  test('a digest that passed before under this policy is not checked again, because evidence may have expired', async () => {
    const played = await play({ observe: inPlace({ gate: 'passed' }) });
    expect(names(played)).toEqual(['observe', 'closeRun']);
    expect(played.output).toMatchObject({ outcome: 'unchanged' });
    const repaired = await play({ observe: inPlace({ gate: 'passed', differences: ['it lacks a referrer'] }) });
    expect(names(repaired)).toEqual(WHOLE);
    expect(repaired.output).toMatchObject({ outcome: 'promoted' });
  });

  test('a rule that observes checks once, and reports what is missing', async () => {
    const observing = { observe: inPlace({ mode: 'observe' }) };
    const missing = await play({ ...observing, checkEvidence: () => closedGate });
    expect(names(missing)).toEqual(['observe', 'checkEvidence', 'closeRun']);
    expect(missing.output).toMatchObject({ outcome: 'observed', reason: 'evidence is missing: no signature yet' });
    const there = await play({ ...observing, checkEvidence: () => passed() });
    expect(there.output).toMatchObject({ outcome: 'unchanged' });
    const moved = await play({ ...observing, checkEvidence: () => ({ done: { state: 'superseded' } }) });
    expect(moved.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
  });

  test('a gate with very many signatures is called again without a pause', async () => {
    const played = await play({
      observe: inPlace({}),
      checkEvidence: (_input, call) => (call < 20 ? { retryAfterMs: 0 } : passed()),
    });
    expect(names(played).filter((name) => name === 'checkEvidence')).toHaveLength(20);
    expect(played.timersMs).toEqual([]);
    expect(played.output).toMatchObject({ outcome: 'unchanged' });
  });
});

describe('both drivers run the same order', () => {
  /** The same answers, asked for by plain calls. */
  async function playHere(changes: Answers): Promise<{ calls: Played['calls']; output: unknown }> {
    const { activities } = promotion(changes);
    const calls: Played['calls'] = [];
    const output = await driveHere(
      promote(KEY),
      async ({ name }, input) => {
        calls.push({ name, input });
        const call = calls.filter((each) => each.name === name).length;
        const reply = activities[name]?.(input as never, call) as { done: unknown };
        return reply.done;
      },
      (event) => {
        throw new Error(`nobody waits here for ${event}`);
      },
    );
    return { calls, output };
  }
  const { attachTo: _nothing, ...unsigned } = OBSERVED;
  const passed = { done: { state: 'passed', generation: 3 } } as const;

  test.each<[string, Answers]>([
    ['all of it', {}],
    ['attached at the destination', { observe: () => ({ done: { ...OBSERVED, attachTo: 'destination' } }) }],
    ['nothing attached', { observe: () => ({ done: unsigned }) }],
    ['an open gate', { observe: () => ({ done: GATED }), checkEvidence: () => passed }],
    ['nothing differs', { observe: () => ({ done: { ...OBSERVED, differences: [] } }) }],
    ['only observed', { observe: () => ({ done: { ...OBSERVED, mode: 'observe' } }) }],
    ['a tag that moved on', { tagDestination: () => ({ done: { state: 'superseded', reference: DESTINATION } }) }],
    [
      'refused',
      { observe: () => ({ done: { state: 'refused', generation: 1, code: 'DESTINATION_TAKEN', reason: 'no' } }) },
    ],
    ['another run’s row', { observe: () => ({ done: { state: 'gone' } }) }],
  ])('with %s', async (_what, changes) => {
    const here = await playHere(changes);
    const durably = await play(changes);
    expect(here.calls).toEqual(durably.calls);
    expect(here.output).toEqual(durably.output);
  });

  test('the local driver does not wait at a closed gate', async () => {
    const closed = { done: { state: 'closed' as const, generation: 1, reasons: ['none'], evidence: 'e0' } };
    const waits: Answers = {
      observe: () => ({ done: GATED }),
      checkEvidence: () => closed,
      markWaiting: () => ({ done: 'waiting' }),
    };
    await expect(playHere(waits)).rejects.toThrow('nobody waits here for evidence-1');
  });

  test('the order does not swallow an exception of a step', async () => {
    const thrown: Answers = {
      copy: () => {
        throw new Error('it is down');
      },
    };
    await expect(playHere(thrown)).rejects.toThrow('it is down');
  });
});
