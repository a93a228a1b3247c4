import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { propertyRuns } from '../../support/property-runs.js';
import { choicesOf, type History, type Timed } from './history.js';
import { ENDLESS_SECONDS, LATE, type Late } from './troubles.js';
import { play } from './model.js';
import { SIMPLE } from './setting.js';

const PLACE = { repository: 0, tag: 0 };

function late(what: Late, where: 'source' | 'destination', turn: number | undefined, after: number): Timed {
  const how = turn === undefined ? 'stale' : 'torn';
  const bounds = { calls: ENDLESS_SECONDS, seconds: 600, after };
  return { is: 'late', late: what, where, how, ...bounds, ...(turn !== undefined && { turn }) };
}

const steps = fc.nat(400);
const lates = fc
  .tuple(
    fc.constantFrom(...LATE),
    fc.constantFrom('source' as const, 'destination' as const),
    fc.constantFrom(undefined, 1, 2, 5),
    steps,
  )
  .map((all): Timed => late(...all));
const report = fc
  .tuple(fc.nat(2), steps)
  .map(([image, after]): Timed => ({ is: 'attach', what: 'report', ...PLACE, image, after }));
/** Images are pushed one after the other, each once: a move back is in late.test.ts. */
const histories: fc.Arbitrary<History> = fc.record({
  setting: fc
    .tuple(fc.boolean(), fc.constantFrom(0, 3_600, -3_600))
    .map(([sbom, apartSeconds]) => ({ ...SIMPLE, sbom, apartSeconds })),
  happenings: fc
    .tuple(lates, fc.array(fc.oneof(report, lates), { maxLength: 3 }), fc.array(steps, { minLength: 3, maxLength: 3 }))
    .map(([first, others, times]) => [
      first,
      ...times.flatMap((after, image): Timed[] => [
        { is: 'push', ...PLACE, image, after },
        ...others.slice(image, image + 1),
      ]),
    ]),
  copies: fc.array(fc.constantFrom(1, 2, 3), { maxLength: 8 }),
  choices: fc.oneof(choicesOf(1), choicesOf(9)),
  strict: fc.constant(true),
});

test('with late reads and events in any order, no destination moves back and nothing is made twice or lost', async () => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const { problems } = await play(history);
      // A referrer that is reported before the first run of its image has written the subject index is found by the schedule.
      expect(problems.filter((problem) => !problem.startsWith('before any tick'))).toEqual([]);
    }),
    { numRuns: propertyRuns(60) },
  );
}, 300_000);
