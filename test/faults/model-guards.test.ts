import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { choicesOf, type History } from '../unit/model/history.js';
import { MOST_JOBS } from '../../src/rows/generation.js';
import type { Guard } from '../unit/model/guards.js';
import { play } from '../unit/model/model.js';
import { SIMPLE } from '../unit/model/setting.js';

const SEED = Number(process.env.SEED ?? 2);
const MOST = 1_000;
const place = { image: 0, repository: 0 };
const ASK = { is: 'ask', repository: 0, tag: 0 } as const;
const push = { is: 'push', ...place, tag: 0, after: 0 } as const;

/** What has to happen for each guard to be needed, in whatever order of steps, and what is wrong without it. */
const cases: Record<Guard, { histories: fc.Arbitrary<History>; symptom: RegExp }> = {
  // A report comes while the image is promoted.
  'wanted at closing': {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc.nat(120).map((after) => [push, { is: 'attach', what: 'report', ...place, after }]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /before any tick: rule staging.* lacks/,
  },
  // A writer that is about to push a signature sleeps until another one has made a signature.
  'kept signature': {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc.constant([
        push,
        { is: 'pause', nth: 0, after: 0, at: 'pushManifest' },
        { is: 'time', seconds: 20, after: 0 },
      ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /2 of our signature/,
  },
  // A run falls asleep before it closes its promotion, is closed by its own second try, and wakes up when the next run is under way.
  fencing: {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc
        .nat(60)
        .map((after) => [
          push,
          { is: 'pause', nth: 0, after: 0, at: 'closeRun: store replacePromotion' },
          { ...push, image: 1, after },
        ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /promotion .* (?:goes back to run|is answered by run|is written by run)/,
  },
  // A job that has ended is started once more, when its promotion has forgotten it: so many jobs came since.
  'ended run': {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc.constant([
        push,
        { ...ASK, after: 1_000 },
        ...Array.from({ length: MOST_JOBS }, (_, index) => ({ ...ASK, after: index === 0 ? 1_000 : 0 })),
        { is: 'restart', nth: 1, after: 10_000 },
      ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /is written for run .*, which has ended/,
  },
  // The signature comes while the gate looks for the second time.
  'event name': {
    histories: fc.record({
      setting: fc.constant({ ...SIMPLE, gate: true }),
      happenings: fc.constant([
        push,
        { is: 'time', seconds: 310, after: 1_000 },
        { is: 'attach', what: 'evidence', ...place, after: 0, at: 'markWaiting: store' },
      ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /waits for evidence-2/,
  },
  'cancelled mark': {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc.nat(60).map((after) => [push, { is: 'cancel', nth: 0, after }]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /when the schedule has looked: .* opens a run of promotion .* which is cancelled/,
  },
  // A report comes while the image is promoted, and then the rule goes.
  'rule still there': {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc
        .tuple(fc.nat(60), fc.nat(40))
        .map(([after, later]) => [
          push,
          { is: 'attach', what: 'report', ...place, after },
          { is: 'rules', change: 'gone', after: later },
        ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /closeRun opens run .* by rule staging as it was long before/,
  },
  // The rule is back, and the tag is pushed, when housekeeping has seen that nobody wants it and falls asleep.
  'conditional removal': {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc.constant([
        push,
        { is: 'rules', change: 'gone', after: 1_000 },
        { is: 'house', hours: 25, after: 0 },
        { is: 'pause', nth: 0, after: 0, at: 'removePromotion' },
        { is: 'rules', change: 'gone', after: 0 },
        { ...push, image: 1 },
      ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /promotion .* was removed, and is not at rest for long/,
  },
  // Two replicas of the source disagree about the tag, and no trigger has named the digest that is new.
  pace: {
    histories: fc.record({
      setting: fc.constant(SIMPLE),
      happenings: fc
        .integer({ min: 500, max: 1_000 })
        .map((after) => [
          push,
          { is: 'trouble', where: 'source', how: 'torn', calls: 40, seconds: 1_000_000, after },
          { ...push, image: 1, untold: true },
          { is: 'again', nth: 0, after: 0 },
        ]),
      copies: fc.constant([]),
      choices: choicesOf(9),
    }),
    symptom: /runs, one after the other, and nothing was wanted/,
  },
};

describe('without one of its guards, the model fails', () => {
  test.each(Object.keys(cases) as Guard[])(
    '%s',
    async (guard) => {
      const { histories, symptom } = cases[guard];
      process.stdout.write(`without ${guard}: seed ${SEED}\n`);
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
