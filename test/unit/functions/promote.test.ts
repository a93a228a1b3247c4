import { describe, expect, test } from '@jest/globals';
import { promote } from '../../../src/functions/orchestrations/promote.js';
import { evidencePolicyHash } from '../../../src/rules/fingerprint.js';
import { rule } from '../../support/rules.fixture.js';
import { replay, type Played, type Script } from '../../support/replay.js';
import {
  GATED,
  IMAGES,
  OBSERVED,
  OWNER,
  ROOT,
  SOURCE,
  begun,
  promotion,
  type Answers,
} from '../../support/scripted.js';

const MINUTE = 60_000;

async function play(
  changes: Answers,
  more: Partial<Script> = {},
): Promise<Played & { closed: ReturnType<typeof promotion>['closed'] }> {
  const { activities, closed } = promotion(changes);
  const played = await replay(promote, { input: OWNER, activities, ...more });
  return { ...played, closed };
}
/** Whole seconds: a turn takes a millisecond here. */
const seconds = (played: Played): number[] => played.timersMs.map((ms) => Math.round(ms / 1000));
const names = (played: Played): string[] => played.calls.map(({ name }) => name);
const failed = (code: string, refused: boolean) => () => ({
  failed: { code, message: 'no', refused, remedy: 'do it right' },
});

describe('a promotion', () => {
  test.each(['first begun', 'last begun'] as const)('goes its way, whatever ends first (%s)', async (ends) => {
    const played = await play({}, { ends });
    expect(names(played)).toEqual([
      'beginRun',
      'observe',
      'attachSbom',
      'attachSignature',
      'attachSignature',
      'attachSignature',
      'planCopy',
      'copyGraph',
      'verifyArrival',
      'tagDestination',
      'closeRun',
    ]);
    expect(played.output).toEqual({ outcome: 'promoted', digest: ROOT.digest });
    const signed = played.calls.filter(({ name }) => name === 'attachSignature').map(({ input }) => input);
    expect(signed).toHaveLength(3);
    expect(signed).toContainEqual(
      expect.objectContaining({ subject: { mediaType: ROOT.mediaType, digest: ROOT.digest, size: ROOT.size } }),
    );
    // What it did is told in the order of the images, not in that of the answers.
    expect(played.closed[0]).toMatchObject({ wanted: 1, result: { outcome: 'promoted', digest: ROOT.digest } });
    expect(played.closed[0]?.did.filter((line) => line.includes('signature'))).toEqual(
      IMAGES.map(({ label }) => expect.stringContaining(label)),
    );
  });

  test('the plan is of the digest that was observed, and leaves out what the rule does', async () => {
    const which = rule({ referrers: { excludeArtifactTypes: ['application/x-scratch'] } });
    const played = await play({ beginRun: () => begun(which) });
    expect(played.calls.find(({ name }) => name === 'planCopy')?.input).toMatchObject({
      root: ROOT.digest,
      tag: SOURCE.tag,
      recursive: true,
      excludeArtifactTypes: ['application/x-scratch'],
    });
  });

  test('referrers that were put again are told', async () => {
    const { closed } = await play({ verifyArrival: () => ({ done: { repaired: 2 } }) });
    expect(closed[0]?.did).toContain('put 2 referrers again');
  });

  test('a rule without SBOM and signature: a copy', async () => {
    const played = await play({ beginRun: () => begun(rule({ sbom: { formats: [] }, sign: [] })) });
    expect(names(played)).not.toContain('attachSbom');
    expect(names(played)).not.toContain('attachSignature');
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('more images than one wave: each once', async () => {
    const images = Array.from({ length: 25 }, (_, index) => ({
      ...ROOT,
      digest: `sha256:${String(index).padStart(64, '0')}` as typeof ROOT.digest,
      label: `linux/a${index}`,
      sbom: true,
    }));
    const played = await play({ observe: () => ({ done: { ...OBSERVED, images } as typeof OBSERVED }) });
    expect(names(played).filter((name) => name === 'attachSbom')).toHaveLength(25);
    expect(played.closed[0]?.did.filter((line) => line.includes('SBOM'))).toEqual(
      images.map(({ label }) => expect.stringMatching(new RegExp(`${label}$`))),
    );
  });
});

describe('ends early', () => {
  test('a row that is another run’s: nothing is done, nothing closed', async () => {
    const played = await play({ beginRun: () => ({ done: { owned: false } }) });
    expect(names(played)).toEqual(['beginRun']);
    expect(played.output).toBeNull();
  });

  test('nothing differs: unchanged', async () => {
    const played = await play({ observe: () => ({ done: { ...OBSERVED, differences: [] } as typeof OBSERVED }) });
    expect(names(played)).toEqual(['beginRun', 'observe', 'closeRun']);
    expect(played.output).toEqual({ outcome: 'unchanged', digest: ROOT.digest });
  });

  test('nothing to promote: unchanged, and why, with the digest that was looked at', async () => {
    const gone = { state: 'nothing', code: 'SOURCE_GONE', reason: 'not there' } as const;
    expect((await play({ observe: () => ({ done: gone }) })).output).toEqual({
      outcome: 'unchanged',
      code: 'SOURCE_GONE',
      reason: 'not there',
    });
    const referrer = { ...gone, code: 'IS_REFERRER', digest: ROOT.digest };
    expect((await play({ observe: () => ({ done: referrer }) })).output).toMatchObject({ digest: ROOT.digest });
  });

  test('a policy forbids it: refused, with the digest that was looked at', async () => {
    const taken = {
      state: 'refused',
      code: 'DESTINATION_TAKEN',
      reason: 'no',
      remedy: 'x',
      digest: ROOT.digest,
    } as const;
    const played = await play({ observe: () => ({ done: taken }) });
    const { state: _refused, ...rest } = taken;
    expect(played.closed[0]?.result).toEqual({ outcome: 'refused', ...rest });
  });

  test('a rule that observes: what it would do, and nothing done', async () => {
    const played = await play({ beginRun: () => begun(rule({ mode: 'observe' })) });
    expect(names(played)).toEqual(['beginRun', 'observe', 'closeRun']);
    expect(played.output).toMatchObject({ outcome: 'observed', reason: expect.stringContaining('is not there') });
  });

  test('the tag moved on before the copy was planned, or before it could be written: superseded', async () => {
    const early = await play({ planCopy: () => ({ done: { state: 'superseded' } }) });
    expect(names(early)).not.toContain('copyGraph');
    expect(early.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
    const late = await play({ tagDestination: () => ({ done: 'superseded' }) });
    expect(late.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
  });

  test('the row went to another run before the tag was written: nothing is closed', async () => {
    const played = await play({ tagDestination: () => ({ done: 'gone' }) });
    expect(played.closed).toEqual([]);
    expect(played.output).toBeNull();
  });

  test.each([
    'observe',
    'attachSbom',
    'attachSignature',
    'planCopy',
    'copyGraph',
    'verifyArrival',
    'tagDestination',
  ] as const)('%s fails for good: the row is closed as failed, or as refused', async (name) => {
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
  });

  test.each([
    ['CONNECT_FAILED: localhost:5100 cannot be reached', 'CONNECT_FAILED'],
    ['TOOMANYREQUESTS: slow down', 'TOOMANYREQUESTS'],
    ['STALLED: no bytes for a minute', 'STALLED'],
    ['HTTP_503: the registry answers 503', 'HTTP_503'],
    ['INTERNAL: Cannot read properties of undefined', 'INTERNAL'],
    ['node exited with code 137', 'INTERNAL'],
  ])('what fails at every try is an outcome with its code: %s', async (text, code) => {
    const { closed, calls } = await play({
      copyGraph: () => {
        throw new Error(text);
      },
    });
    expect(calls.filter(({ name }) => name === 'copyGraph')).toHaveLength(5);
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code, digest: ROOT.digest });
    expect(closed[0]?.result.reason).not.toContain('Exception');
  });

  test('what fails four times and then not, goes on', async () => {
    const { output } = await play({
      copyGraph: (_input, call) => {
        if (call < 5) throw new Error('CONNECT_FAILED: not yet');
        return { done: { copied: 1, existed: 0, mounted: 0, bytes: 1 } };
      },
    });
    expect(output).toMatchObject({ outcome: 'promoted' });
  });

  test('a close that cannot be done fails the orchestration: the schedule finds the row open', async () => {
    const { error } = await play({
      closeRun: () => {
        throw new Error('STORAGE_UNAVAILABLE: the table is down');
      },
    });
    expect(error).toContain('the table is down');
  });

  test('a result that another version wrote ends the run, and leaves no row open', async () => {
    const { closed, error } = await play({ planCopy: () => ({ done: { plan: 7 } as never }) });
    expect(error).toBeUndefined();
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'STEP_RESULT_INVALID' });
  });
});

describe('a step that asks for later', () => {
  const HOUR = 60 * MINUTE;
  const trouble = { code: 'CONNECT_FAILED', message: 'no connection (ECONNREFUSED)', remedy: 'look at it' };
  const done = { done: { copied: 1, existed: 0, mounted: 0, bytes: 1 } };

  test('is called again after a durable timer, as long as it says: seconds, or a day', async () => {
    const pauses = [2_000, 300_000, 23 * HOUR];
    const played = await play({
      copyGraph: (_input, call) => (call <= pauses.length ? { later: pauses[call - 1] ?? 0, trouble } : done),
    });
    expect(played.timersMs).toEqual(pauses);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('is told how often it was called, since when, and since when it is this trouble', async () => {
    const troubles = [trouble, undefined, trouble, trouble, { ...trouble, code: 'HTTP_503' }];
    const played = await play({
      copyGraph: (_input, call) => {
        const why = troubles[call - 1];
        return call <= troubles.length ? { later: MINUTE, ...(why !== undefined && { trouble: why }) } : done;
      },
    });
    const told = played.calls.filter(({ name }) => name === 'copyGraph').map(({ input }) => (input as Told).again);
    expect(told.map((again) => again?.tries)).toEqual([undefined, 1, 2, 3, 4, 5]);
    expect(told.map((again) => again?.code)).toEqual([
      undefined,
      'CONNECT_FAILED',
      undefined,
      'CONNECT_FAILED',
      'CONNECT_FAILED',
      'HTTP_503',
    ]);
    const minutes = (ms = 0): number => Math.round(ms / MINUTE);
    const [, first] = told;
    expect(told.slice(1).map((again) => minutes((again?.since ?? 0) - (first?.since ?? 0)))).toEqual([0, 0, 0, 0, 0]);
    expect(told.slice(1).map((again) => minutes((again?.codeSince ?? 0) - (first?.since ?? 0)))).toEqual([
      0, 1, 2, 2, 4,
    ]);
  });
  interface Told {
    again?: { tries: number; since: number; code?: string; codeSince: number; until: number };
  }

  test('in a wave, only those that asked are called again', async () => {
    const asked: string[] = [];
    await play({
      attachSignature: ({ subject, label }) => {
        asked.push(label);
        const first = asked.filter((each) => each === label).length === 1;
        return label === 'linux/amd64' && first ? { later: 10 } : { done: { signature: subject.digest, made: true } };
      },
    });
    expect(asked).toEqual(['index', 'linux/amd64', 'attestation', 'linux/amd64']);
  });

  test.each([
    ['24h', 24 * HOUR],
    ['90m', 90 * MINUTE],
  ])('not for ever: at the rule’s deadline (%s) the run fails with the last trouble', async (deadline, deadlineMs) => {
    const played = await play({
      beginRun: () => begun(rule({ deadline })),
      observe: (_input, call) => (call < 4 ? { later: 20 * MINUTE } : { done: OBSERVED }),
      copyGraph: () => ({ later: 25 * MINUTE, trouble }),
    });
    const spent = Math.round((played.elapsedMs - deadlineMs) / 1000);
    expect(spent).toBe(0);
    expect(played.closed[0]?.result).toMatchObject({
      outcome: 'failed',
      code: 'CONNECT_FAILED',
      reason: expect.stringMatching(/^given up: copyGraph was tried \d+ times in .*: no connection/),
      remedy: 'look at it',
    });
  });

  test('a Retry-After beyond the deadline is cut there, and tried once more', async () => {
    const played = await play({
      beginRun: () => begun(rule({ deadline: '1h' })),
      copyGraph: (_input, call) => (call === 1 ? { later: 24 * HOUR, trouble } : done),
    });
    expect(Math.round(played.elapsedMs / MINUTE)).toBe(60);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('what waits for others and never gets its turn ends as busy', async () => {
    const played = await play({ tagDestination: () => ({ later: HOUR }) });
    expect(Math.round(played.elapsedMs / HOUR)).toBe(24);
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'STEP_BUSY' });
  });

  test('the close has a day of its own, after the deadline too', async () => {
    const played = await play({
      beginRun: () => begun(rule({ deadline: '10m' })),
      copyGraph: () => ({ later: HOUR, trouble }),
      closeRun: (_input, call) => (call < 3 ? { later: HOUR, trouble } : { done: 'closed' }),
    });
    expect(played.error).toBeUndefined();
    expect(Math.round(played.elapsedMs / MINUTE)).toBe(130);
  });
});

describe('the evidence gate', () => {
  const closedGate = (wanted: number) => ({
    done: { state: 'closed' as const, wanted, reasons: ['no signature yet'], evidence: 'e0' },
  });
  const passed = (wanted: number) => ({ done: { state: 'passed' as const, wanted } });
  const gated: Answers = { beginRun: () => begun(GATED), markWaiting: () => ({ done: 'waiting' }) };

  test('is passed at once where the evidence is there', async () => {
    const played = await play({ ...gated, checkEvidence: () => passed(3) });
    expect(names(played).slice(0, 3)).toEqual(['beginRun', 'observe', 'checkEvidence']);
    expect(played.closed[0]).toMatchObject({ wanted: 3, result: { outcome: 'promoted' } });
  });

  test('waits, is woken, looks again; each wait has a name of its own', async () => {
    const played = await play(
      { ...gated, checkEvidence: (_input, call) => (call < 3 ? closedGate(call) : passed(7)) },
      { event: ([name]) => name },
    );
    expect(played.waits).toEqual(['wanted-1', 'wanted-2']);
    expect(played.timersMs).toEqual([]);
    expect(played.closed[0]).toMatchObject({ wanted: 7, result: { outcome: 'promoted' } });
    expect(played.calls.filter(({ name }) => name === 'markWaiting').map(({ input }) => input)).toEqual([
      { ...OWNER, wanted: 1, event: 'wanted-1', reasons: ['no signature yet'] },
      { ...OWNER, wanted: 2, event: 'wanted-2', reasons: ['no signature yet'] },
    ]);
  });

  test('looks by itself every five minutes', async () => {
    const played = await play({ ...gated, checkEvidence: (_input, call) => (call < 3 ? closedGate(1) : passed(1)) });
    expect(seconds(played)).toEqual([300, 300]);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('something was raised while it looked: it looks again, without waiting', async () => {
    const played = await play({
      ...gated,
      checkEvidence: (_input, call) => (call < 2 ? closedGate(1) : passed(2)),
      markWaiting: () => ({ done: 'again' }),
    });
    expect(played.waits).toEqual([]);
    expect(played.closed[0]).toMatchObject({ wanted: 2 });
  });

  test('an event that comes late finds a wait that nobody reads', async () => {
    const played = await play(
      { ...gated, checkEvidence: (_input, call) => (call < 4 ? closedGate(call) : passed(4)) },
      // The first wait ends by its timer; its event comes during the second, and wakes nobody.
      { event: (waitedFor) => (waitedFor.length === 2 ? waitedFor[0] : undefined) },
    );
    expect(seconds(played)).toEqual([300, 300, 300]);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('refuses after an hour, with what was missing at the last look', async () => {
    const played = await play({ ...gated, checkEvidence: () => closedGate(5) });
    expect(played.elapsedMs).toBeGreaterThanOrEqual(60 * MINUTE);
    expect(played.elapsedMs).toBeLessThan(61 * MINUTE);
    expect(names(played)).not.toContain('attachSbom');
    expect(played.closed[0]).toMatchObject({
      wanted: 5,
      result: { outcome: 'refused', code: 'EVIDENCE_MISSING', reason: 'no signature yet', digest: ROOT.digest },
    });
    expect(played.closed[0]?.result.remedy).toBeDefined();
  });

  test('goes on as it began where its steps were of code that knew no pause', async () => {
    const looks = 30;
    const played = await play(
      { ...gated, checkEvidence: (_input, call) => (call < looks ? closedGate(call) : passed(looks)) },
      { event: (waits) => waits.at(-1) },
    );
    const before = Array.from({ length: looks - 1 }, () => ['checkEvidence', 'markWaiting']).flat();
    expect(names(played).slice(2, 2 + before.length)).toEqual(before);
    expect(played.waits).toEqual(Array.from({ length: looks - 1 }, (_, look) => `wanted-${look + 1}`));
    expect(played.timersMs).toEqual([]);
    expect(played.output).toMatchObject({ outcome: 'promoted' });
  });

  test('pauses though the rule’s deadline is over, which is for trouble', async () => {
    const played = await play({
      ...gated,
      beginRun: () => begun({ ...GATED, deadline: '10s' }),
      checkEvidence: (_input, call) => closedGate(call),
      markWaiting: ({ pauseMs }, call) =>
        pauseMs !== undefined && call % 2 === 0 ? { later: pauseMs } : { done: 'again' },
    });
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'refused', code: 'EVIDENCE_MISSING' });
    expect(played.elapsedMs).toBeLessThan(61 * MINUTE);
  });

  test('the tag moved on while it waited: superseded', async () => {
    const played = await play({ ...gated, checkEvidence: () => ({ done: { state: 'superseded' } }) });
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
  });

  test.each(['checkEvidence', 'markWaiting'] as const)(
    'the row went to another run (%s): nothing is closed',
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

describe('nothing differs, and the rule demands evidence', () => {
  const policy = evidencePolicyHash(GATED) ?? '';
  const inPlace =
    (gatePassed?: string | null, differences: string[] = []) =>
    () => ({
      done: { ...OBSERVED, differences, ...(gatePassed !== undefined && { gatePassed }) } as typeof OBSERVED,
    });
  const closedGate = { done: { state: 'closed' as const, wanted: 1, reasons: ['no signature yet'], evidence: 'e0' } };
  const passed = (wanted = 1) => ({ done: { state: 'passed' as const, wanted } });
  const gated: Answers = { beginRun: () => begun(GATED), markWaiting: () => ({ done: 'waiting' }) };
  const observing: Answers = { beginRun: () => begun({ ...GATED, mode: 'observe' }) };

  test.each([null, 'of another policy'])('the gate is asked where it did not pass before (%s)', async (before) => {
    const played = await play({ ...gated, observe: inPlace(before), checkEvidence: () => passed() });
    expect(names(played)).toEqual(['beginRun', 'observe', 'checkEvidence', 'closeRun']);
    expect(played.output).toMatchObject({ outcome: 'unchanged', digest: ROOT.digest });
  });

  test('without evidence it is refused after an hour, as a new image is, and no longer in sync', async () => {
    const played = await play({ ...gated, observe: inPlace(null), checkEvidence: () => closedGate });
    expect(played.elapsedMs).toBeGreaterThanOrEqual(60 * MINUTE);
    expect(played.closed[0]?.result).toMatchObject({ outcome: 'refused', code: 'EVIDENCE_MISSING', evidence: 'e0' });
    expect(names(played)).not.toContain('attachSbom');
  });

  test('evidence that came while it waited, or was raised meanwhile, is copied', async () => {
    const later = await play({
      ...gated,
      observe: inPlace(null),
      checkEvidence: (_input, call) => (call < 2 ? closedGate : passed()),
    });
    const raised = await play({ ...gated, observe: inPlace(null), checkEvidence: () => passed(2) });
    for (const played of [later, raised]) {
      expect(names(played)).toContain('copyGraph');
      expect(played.output).toMatchObject({ outcome: 'promoted' });
    }
  });

  test('what passed before under this policy is not asked again: evidence may have expired', async () => {
    const played = await play({ ...gated, observe: inPlace(policy) });
    expect(names(played)).toEqual(['beginRun', 'observe', 'closeRun']);
    expect(played.output).toMatchObject({ outcome: 'unchanged' });
    const repaired = await play({ ...gated, observe: inPlace(policy, ['it lacks a referrer']) });
    expect(names(repaired)).not.toContain('checkEvidence');
    expect(repaired.output).toMatchObject({ outcome: 'promoted' });
  });

  test('a history that began before the gate was asked goes on as it began', async () => {
    const unchanged = await play({ ...gated, observe: inPlace() });
    expect(names(unchanged)).toEqual(['beginRun', 'observe', 'closeRun']);
    const differs = await play({ ...gated, observe: inPlace(undefined, ['x']), checkEvidence: () => passed() });
    expect(names(differs).slice(0, 3)).toEqual(['beginRun', 'observe', 'checkEvidence']);
  });

  test('a rule that observes looks once, and says what is missing', async () => {
    const missing = await play({ ...observing, observe: inPlace(null), checkEvidence: () => closedGate });
    expect(names(missing)).toEqual(['beginRun', 'observe', 'checkEvidence', 'closeRun']);
    expect(missing.output).toMatchObject({ outcome: 'observed', reason: 'evidence is missing: no signature yet' });
    const there = await play({ ...observing, observe: inPlace(null), checkEvidence: () => passed() });
    expect(there.output).toMatchObject({ outcome: 'unchanged' });
    const moved = await play({
      ...observing,
      observe: inPlace(null),
      checkEvidence: () => ({ done: { state: 'superseded' } }),
    });
    expect(moved.closed[0]?.result).toMatchObject({ outcome: 'superseded' });
  });

  test('a gate with very many signatures asks to be called again, and no time passes', async () => {
    const played = await play({
      ...gated,
      observe: inPlace(null),
      checkEvidence: (_input, call) => (call < 20 ? { later: 0 } : passed()),
    });
    expect(names(played).filter((name) => name === 'checkEvidence')).toHaveLength(20);
    expect(played.output).toMatchObject({ outcome: 'unchanged' });
  });
});
