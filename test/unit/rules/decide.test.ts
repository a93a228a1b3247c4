import { describe, expect, test } from '@jest/globals';
import { decideTag, failurePauseMs, type PromotionFacts } from '../../../src/rules/decide.js';
import { decideGate, type Finding } from '../../../src/rules/gate.js';
import { rule } from '../../support/rules.fixture.js';

const now = new Date('2026-01-01T12:00:00Z');
const seen = { digest: 'sha256:a', fingerprint: 'r1', now };

function row(changes: Partial<PromotionFacts['last'] & object> = {}, failures = 0, runOpen = false): PromotionFacts {
  return {
    runOpen,
    failures,
    last: {
      outcome: 'promoted',
      digest: 'sha256:a',
      fingerprint: 'r1',
      finishedAt: '2026-01-01T11:59:00Z',
      ...changes,
    },
  };
}

describe('what the schedule does with a tag', () => {
  test.each([
    ['never seen', seen, 'increment'],
    ['being worked at', { ...seen, row: row({}, 0, true) }, 'leave'],
    ['promoted', { ...seen, row: row() }, 'compare'],
    ['promoted, evidence demanded since', { ...seen, isGated: true, row: row() }, 'increment'],
    [
      'promoted, gate passed under this fingerprint',
      { ...seen, isGated: true, row: { ...row(), gate: { digest: 'sha256:a', fingerprint: 'r1' } } },
      'compare',
    ],
    [
      'unchanged, gate passed under another fingerprint',
      {
        ...seen,
        isGated: true,
        row: { ...row({ outcome: 'unchanged' }), gate: { digest: 'sha256:a', fingerprint: 'r2' } },
      },
      'increment',
    ],
    [
      'promoted, gate passed for another digest',
      { ...seen, isGated: true, row: { ...row(), gate: { digest: 'sha256:b', fingerprint: 'r1' } } },
      'increment',
    ],
    ['nothing to promote, evidence demanded', { ...seen, isGated: true, row: row({ code: 'IS_REFERRER' }) }, 'leave'],
    ['refused for evidence', { ...seen, isGated: true, row: row({ outcome: 'refused' }) }, 'leave'],
    ['another digest', { ...seen, row: row({ digest: 'sha256:b' }) }, 'increment'],
    ['another rule', { ...seen, row: row({ fingerprint: 'r2' }) }, 'run again'],
    ['another rule and another digest', { ...seen, row: row({ fingerprint: 'r2', digest: 'sha256:b' }) }, 'increment'],
    ['refused since its rule was gone', { ...seen, row: row({ outcome: 'refused', code: 'RULE_GONE' }) }, 'increment'],
    ['refused', { ...seen, row: row({ outcome: 'refused' }) }, 'leave'],
    ['observed', { ...seen, row: row({ outcome: 'observed' }) }, 'leave'],
    ['nothing to promote', { ...seen, row: row({ outcome: 'unchanged', code: 'IS_REFERRER' }) }, 'leave'],
    ['failed a minute ago', { ...seen, row: row({ outcome: 'failed' }, 1) }, 'leave'],
    [
      'failed six minutes ago',
      { ...seen, row: row({ outcome: 'failed', finishedAt: '2026-01-01T11:54:00Z' }, 1) },
      'increment',
    ],
    [
      'failed several times, six minutes ago',
      { ...seen, row: row({ outcome: 'failed', finishedAt: '2026-01-01T11:54:00Z' }, 3) },
      'leave',
    ],
  ] as const)('%s', (_name, what, expected) => {
    expect(decideTag(what)).toBe(expected);
  });

  test('a failed run without a digest is followed by a pause', () => {
    const { digest: _none, ...last } = row({ outcome: 'failed' }).last ?? {
      outcome: '',
      fingerprint: '',
      finishedAt: '',
    };
    expect(decideTag({ ...seen, row: { runOpen: false, failures: 1, last } })).toBe('leave');
  });

  test('pauses grow up to a day', () => {
    expect([1, 2, 3, 20].map(failurePauseMs)).toEqual([300_000, 600_000, 1_200_000, 86_400_000]);
  });
});

describe('the evidence gate', () => {
  const policies = rule({
    verify: {
      signatures: [
        { format: 'notary', trustStore: 'x' },
        { format: 'notary', trustStore: 'y' },
      ],
    },
  }).verify.signatures;
  const good: Finding = { verdict: 'passed', signedBy: 'CN=them', signature: 'sha256:s' };
  const bad: Finding = {
    verdict: 'rejected',
    code: 'SIGNATURE_UNTRUSTED',
    reason: 'not ours to trust',
    signature: 'sha256:t',
  };
  const unknown: Finding = { verdict: 'inconclusive', code: 'X', reason: 'could not look', signature: 'sha256:u' };

  test('passes only if every policy is satisfied', () => {
    expect(decideGate(policies, [[good], [bad, good]]).passed).toBe(true);
    expect(decideGate(policies, [[good], []])).toMatchObject({
      passed: false,
      reasons: [expect.stringContaining('no notary signature')],
    });
    expect(decideGate(policies, [[good]]).passed).toBe(false);
  });

  test('does not pass if a signature could not be checked', () => {
    expect(decideGate(policies, [[good], [unknown]])).toEqual({
      passed: false,
      reasons: ['sha256:u: X: could not look'],
    });
  });

  test('passes if there is no policy', () => {
    expect(decideGate([], [])).toEqual({ passed: true, evidence: [] });
  });
});
