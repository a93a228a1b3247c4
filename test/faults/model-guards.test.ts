import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { History } from '../unit/model/history.js';
import type { Guard } from '../unit/model/model.js';

await import('../unit/model/virtual-time.js');
const { choicesOf, historiesOf } = await import('../unit/model/history.js');
const { play } = await import('../unit/model/model.js');

const SEED = Number(process.env.SEED ?? 2);
const MOST = 1_000;
const simple = {
  gate: false,
  sign: true,
  sbom: false,
  elsewhere: false,
  second: 'none',
  tellsUntagged: true,
  attachesThere: false,
  spreads: false,
} as const;
const place = { image: 0, repository: 0 };
const push = { is: 'push', ...place, tag: 0, after: 0 } as const;

/** What has to happen for each guard to be needed, in whatever order of steps, and what is wrong without it. */
const cases: Record<Guard, { histories: fc.Arbitrary<History>; symptom: RegExp }> = {
  // A report comes while the image is promoted.
  'wanted at closing': {
    histories: fc.record({
      setting: fc.constant(simple),
      happenings: fc.nat(120).map((after) => [push, { is: 'attach', what: 'report', ...place, after }]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /before any tick: rule staging.* lacks/,
  },
  'kept signature': {
    histories: historiesOf(['push', 'pause', 'crash', 'time'], { given: simple, images: 1 }),
    symptom: /2 of our signature/,
  },
  fencing: {
    histories: historiesOf(['push', 'lose', 'stick', 'tick', 'time'], { given: simple, images: 2 }),
    symptom: /its last run .* and by itself failed RUN_LOST/,
  },
  // The signature comes while the gate looks for the second time.
  'event name': {
    histories: fc.record({
      setting: fc.constant({ ...simple, gate: true }),
      happenings: fc.constant([
        push,
        { is: 'time', seconds: 310, after: 1_000 },
        { is: 'attach', what: 'evidence', ...place, after: 0, at: 'markWaiting: store' },
      ]),
      copies: fc.constant([]),
      choices: choicesOf(4),
    }),
    symptom: /waits for wanted-2/,
  },
};

describe('without one of its guards, the model fails', () => {
  test.each(Object.keys(cases) as Guard[])(
    '%s',
    async (guard) => {
      const { histories, symptom } = cases[guard];
      let played = 0;
      let found = '';
      let first: History | undefined;
      await fc.assert(
        fc.asyncProperty(histories, async (history) => {
          if (symptom.test(found)) return;
          const { problems } = await play(history, guard);
          played += 1;
          found = problems.join('\n');
          first = history;
        }),
        { seed: SEED, numRuns: MOST },
      );
      process.stdout.write(`without ${guard}: history ${played}: ${found.split('\n', 1)[0]}\n`);
      // With it, nothing is wrong.
      expect(first && (await play(first)).problems).toEqual([]);
      expect(found).toMatch(symptom);
    },
    600_000,
  );
});
