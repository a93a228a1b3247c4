import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import type { ActivityReply } from '../../../src/functions/durable-driver.js';
import { OUTCOMES } from '../../../src/rows/run-row.js';
import { newWorld } from '../../support/world.js';
import { register } from '../../support/registered.js';
import { replay, type Activity } from '../../support/replay.js';
import { DESTINATION, GATED, OBSERVED, KEY, ROOT, SOURCE, activities, type Answers } from '../../support/scripted.js';

// Every orchestration that is registered, over replies drawn at random: whatever its steps answer, and in whatever order, it
// wants the same each time that it is replayed.

const FULL = process.env.FULL === '1';
const SEED = Number(process.env.SEED ?? 7);

/** What a step may answer when all is well, the most natural first. */
type Choices = { [K in keyof Answers]-?: ReturnType<Exclude<Answers[K], undefined>>[] };

const { attachTo: _nothing, ...UNSIGNED } = OBSERVED;
const COPIED = { state: 'copied', root: ROOT, copied: 2, existed: 1, mounted: 1, bytes: 100 } as const;
/** A run that was interrupted answers nothing: the next one does. */
const ANSWERED = OUTCOMES.filter((outcome) => outcome !== 'interrupted');
/** A long step has done enough in one call. */
const GOES_ON = { retryAfterMs: 0 };

const CHOICES: Choices = {
  observe: [
    { done: OBSERVED },
    { done: GATED },
    { done: { ...OBSERVED, mode: 'observe' } },
    { done: { ...OBSERVED, attachTo: 'destination' } },
    { done: UNSIGNED },
    { done: { ...OBSERVED, differences: [] } },
    { done: { ...GATED, differences: [] } },
    { done: { ...GATED, differences: [], mode: 'observe' } },
    { done: { state: 'nothing', generation: 1, code: 'IS_REFERRER', reason: 'it refers', digest: ROOT.digest } },
    { done: { state: 'refused', generation: 1, code: 'DESTINATION_TAKEN', reason: 'taken', digest: ROOT.digest } },
    { done: { state: 'gone' } },
    GOES_ON,
  ],
  checkEvidence: [
    { done: { state: 'closed', generation: 1, reasons: ['no signature yet'], evidence: 'e1' } },
    { done: { state: 'passed', generation: 2 } },
    { done: { state: 'superseded' } },
    { done: { state: 'gone' } },
  ],
  markWaiting: [{ done: 'waiting' }, { done: 'again' }, { done: 'gone' }],
  attach: [{ done: { did: ['attached SBOM'] } }, { done: { did: [] } }, GOES_ON],
  copy: [{ done: COPIED }, { done: { state: 'superseded' } }, GOES_ON],
  verifyArrival: [{ done: { repaired: 0 } }, { done: { repaired: 2 } }, GOES_ON],
  tagDestination: [
    { done: { state: 'tagged', reference: DESTINATION } },
    { done: { state: 'superseded', reference: DESTINATION } },
    { done: { state: 'gone', reference: DESTINATION } },
  ],
  closeRun: [{ done: 'closed' }, { done: 'next' }, { done: 'gone' }],
  beginJob: [
    { done: { operation: 'copy' } },
    { done: { operation: 'promote', source: SOURCE } },
    { done: { operation: 'run', name: 'discover' } },
    { done: { operation: 'none' } },
  ],
  runOperation: [{ done: {} }, { done: { digest: ROOT.digest } }, GOES_ON],
  incrementPromotions: [{ done: [{ promotionId: 'p1', generation: 1 }] }],
  awaitPromotions: ANSWERED.map((outcome) => ({ done: [{ outcome }, { outcome: 'unchanged' as const }] })),
  tagCopy: [{ done: { digest: ROOT.digest } }],
  closeJob: [{ done: null }],
};

/** What any step may answer instead; a throw is a failed attempt. */
const TROUBLES: (ActivityReply | 'throws')[] = [
  { retryAfterMs: 2_000 },
  { retryAfterMs: 3_600_000, trouble: { code: 'TOOMANYREQUESTS', message: 'slowly' } },
  { retryAfterMs: 30_000, event: 'freed' },
  { failed: { code: 'DESTINATION_LOCKED', message: 'no', refused: false, remedy: 'unlock it' } },
  { failed: { code: 'SIGNATURE_INVALID', message: 'no', refused: true } },
  { failed: { code: 'RUN_CANCELLED', message: 'stopped', refused: false } },
  { failed: { code: 'SUPERSEDED', message: 'moved on', refused: false } },
  'throws',
];

/** Draws numbers one by one; 0 when there are no more. */
class Draws {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  next(): number {
    const number = this.#numbers[this.#next] ?? 0;
    this.#next += 1;
    return number;
  }
}

function drawn(draws: Draws): Record<string, Activity> {
  const answers = Object.entries(CHOICES).map(([name, choices]) => [
    name,
    (): unknown => {
      const draw = draws.next();
      // One in four is trouble.
      const trouble = draw % 4 === 3 ? TROUBLES[(draw >> 2) % TROUBLES.length] : undefined;
      if (trouble === 'throws') throw new Error('CONNECTION_CLOSED: the worker died');
      return trouble ?? choices[(draw >> 2) % choices.length];
    },
  ]);
  return activities(Object.fromEntries(answers) as Answers);
}

const INPUTS: Record<string, unknown> = {
  promote: KEY,
  runJob: { runId: 'r1' },
};
/** How each may end. */
const ENDS: Record<string, readonly string[]> = {
  promote: ['promoted', 'unchanged', 'observed', 'superseded', 'refused', 'failed', 'cancelled', 'null', 'error'],
  runJob: [...ANSWERED, 'null', 'error'],
};

function endOf(output: unknown, error: string | undefined): string {
  if (error !== undefined) return 'error';
  if (output === null) return 'null';
  return (output as { outcome?: string }).outcome ?? 'nothing';
}

const orchestrations = register(newWorld()).orchestrations as Map<string, OrchestrationHandler>;

test('each registered orchestration is played', () => {
  expect([...orchestrations.keys()].sort()).toEqual(Object.keys(INPUTS).sort());
});

describe('whatever its steps return, an orchestration asks for the same at each replay', () => {
  test.each(Object.keys(INPUTS))(
    '%s',
    async (name) => {
      const handler = orchestrations.get(name);
      if (handler === undefined) throw new Error(name);
      const ends = new Set<string>();
      const script = fc.record({
        draws: fc.array(fc.nat(255), { maxLength: 60, size: 'max' }),
        wakes: fc.array(fc.boolean(), { maxLength: 10 }),
        order: fc.constantFrom('first begun' as const, 'last begun' as const),
      });
      await fc.assert(
        fc.asyncProperty(script, async ({ draws, wakes, order }) => {
          const woken = [...wakes];
          const played = await replay(handler, {
            input: INPUTS[name],
            activities: drawn(new Draws(draws)),
            event: ([first]) => (woken.shift() === true ? first : undefined),
            ends: order,
          });
          ends.add(endOf(played.output, played.error));
        }),
        { seed: SEED, numRuns: FULL ? 1_000 : name === 'runJob' ? 150 : 60 },
      );
      process.stdout.write(`${name}: ended as ${[...ends].sort().join(', ')}\n`);
      expect([...ends].sort()).toEqual([...(ENDS[name] ?? [])].sort());
    },
    600_000,
  );
});
