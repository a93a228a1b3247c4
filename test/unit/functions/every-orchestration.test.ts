import { describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import fc from 'fast-check';
import type { ActivityReply } from '../../../src/functions/orchestrations/step.js';
import { OUTCOMES } from '../../../src/rows/run-row.js';
import { rule } from '../../support/rules.fixture.js';
import { newWorld } from '../../support/world.js';
import { register } from '../../support/registered.js';
import { replay, type Activity } from '../../support/replay.js';
import {
  GATED,
  IMAGES,
  OBSERVED,
  OWNER,
  ROOT,
  SOURCE,
  activities,
  begun,
  digest,
  type Answers,
} from '../../support/scripted.js';

// Every orchestration that is registered, over replies drawn at random: whatever its steps answer, and in whatever order, it
// wants the same each time that it is replayed.

const FULL = process.env.FULL === '1';
const SEED = Number(process.env.SEED ?? 7);

/** What a step may answer when all is well, the most natural first. */
type Choices = { [K in keyof Answers]-?: ReturnType<Exclude<Answers[K], undefined>>[] };

const planned = { state: 'planned', plan: 'plans/r1', root: ROOT, manifests: 4, blobs: 5, bytes: 600 } as const;
const counts = { copied: 2, existed: 1, mounted: 1, bytes: 100 };
const repository = { registry: SOURCE.registry, repository: SOURCE.repository };
const many = Array.from({ length: 23 }, (_, index) => ({ ...IMAGES[1], label: `image ${index}` }));

const more = { state: 'more', cursor: { stretch: 1, since: 1_767_225_600_000 } } as const;

const CHOICES: Choices = {
  beginRun: [
    begun(),
    begun(GATED),
    begun(rule({ mode: 'observe' })),
    begun(rule({ attachTo: 'destination' })),
    begun(rule({ sign: [], sbom: { formats: [] } })),
    { done: { owned: false } },
  ],
  observe: [
    { done: OBSERVED },
    { done: { ...OBSERVED, images: [...IMAGES, ...many] } as typeof OBSERVED & { state: 'found' } },
    { done: { ...OBSERVED, differences: [] } as typeof OBSERVED & { state: 'found' } },
    { done: { state: 'nothing', code: 'IS_REFERRER', reason: 'it refers', digest: ROOT.digest } },
    { done: { state: 'refused', code: 'DESTINATION_TAKEN', reason: 'taken', digest: ROOT.digest } },
    { done: more },
  ],
  checkEvidence: [
    { done: { state: 'closed', wanted: 1, reasons: ['no signature yet'], evidence: 'e1' } },
    { done: { state: 'passed', wanted: 2 } },
    { done: { state: 'superseded' } },
    { done: { state: 'gone' } },
  ],
  markWaiting: [{ done: 'waiting' }, { done: 'again' }, { done: 'gone' }],
  attachSbom: [{ done: { sbom: digest('a'), made: true } }, { done: { sbom: digest('a'), made: false } }],
  attachSignature: [{ done: { signature: digest('b'), made: true } }],
  planCopy: [
    { done: planned },
    { done: { ...planned, parts: { folder: 'plans/r1', waves: [3, 12, 1] } } },
    { done: { state: 'superseded' } },
    { done: more },
  ],
  copyGraph: [{ done: counts }],
  copyPart: [{ done: { ...counts, more: false } }, { done: { ...counts, more: true } }],
  verifyArrival: [{ done: { repaired: 0 } }, { done: { repaired: 2 } }, { done: more }],
  tagDestination: [{ done: 'tagged' }, { done: 'superseded' }, { done: 'gone' }],
  closeRun: [{ done: 'closed' }, { done: 'next' }, { done: 'gone' }],
  beginJob: [
    { done: { operation: 'copy', source: repository, root: 'v1', recursive: true, destination: SOURCE } },
    { done: { operation: 'promote', source: SOURCE } },
    { done: { operation: 'run', name: 'discover' } },
    { done: { operation: 'none' } },
  ],
  runOperation: [{ done: {} }, { done: { digest: ROOT.digest } }],
  raisePromotions: [{ done: [{ promotionId: 'p1', wanted: 1 }] }],
  awaitPromotions: OUTCOMES.map((outcome) => ({ done: [{ outcome }, { outcome: 'unchanged' as const }] })),
  tagCopy: [{ done: { digest: ROOT.digest } }],
  closeJob: [{ done: null }],
  walkSchedule: [
    { done: { cursor: null, started: 1, looked: 20, problems: [] } },
    { done: { cursor: '{"at":"rows"}', started: 2, looked: 30, problems: ['rule a: it is down'] } },
  ],
};

/** What any step may answer instead; a throw is a failed attempt. */
const TROUBLES: (ActivityReply | 'throws')[] = [
  { later: 2_000 },
  { later: 3_600_000, trouble: { code: 'TOOMANYREQUESTS', message: 'slowly' } },
  { later: 30_000, wake: 'freed' },
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
  promote: OWNER,
  runJob: { runId: 'r1' },
  copyParts: {
    runId: 'r1',
    source: repository,
    destination: repository,
    folder: 'plans/r1',
    wave: 0,
    parts: Array.from({ length: 23 }, (_, part) => part),
  },
  attachImages: { ...OWNER, source: SOURCE, rule: { sign: ['notary'] }, images: many, sboms: true },
  promoteScheduled: {},
  walkOn: {
    step: 'verifyArrival',
    input: {
      runId: 'r1',
      plan: 'plans/r1',
      source: repository,
      destination: repository,
      cursor: more.cursor,
    },
  },
};
/** How each may end. */
const ENDS: Record<string, readonly string[]> = {
  promote: ['promoted', 'unchanged', 'observed', 'superseded', 'refused', 'failed', 'cancelled', 'null', 'error'],
  runJob: [...OUTCOMES, 'null', 'error'],
  copyParts: ['counts', 'failed'],
  attachImages: ['counts', 'failed'],
  promoteScheduled: ['walked', 'error'],
  walkOn: ['walked', 'failed'],
};

function endOf(name: string, output: unknown, error: string | undefined): string {
  if (error !== undefined) return 'error';
  if (output === null) return 'null';
  const { outcome, failed } = output as { outcome?: string; failed?: unknown };
  if (name === 'promoteScheduled') return 'walked';
  if (name === 'walkOn') return failed === undefined ? 'walked' : 'failed';
  if (name === 'copyParts' || name === 'attachImages') return failed === undefined ? 'counts' : 'failed';
  return outcome ?? 'nothing';
}

const orchestrations = register(newWorld()).orchestrations as Map<string, OrchestrationHandler>;

test('each one that is registered is played', () => {
  expect([...orchestrations.keys()].sort()).toEqual(Object.keys(INPUTS).sort());
});

describe('whatever its steps answer, it wants the same each time', () => {
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
            orchestrations: Object.fromEntries(orchestrations),
            event: ([first]) => (woken.shift() === true ? first : undefined),
            ends: order,
          });
          ends.add(endOf(name, played.output, played.error));
        }),
        { seed: SEED, numRuns: FULL ? 1_000 : name === 'runJob' ? 150 : 60 },
      );
      process.stdout.write(`${name}: ended as ${[...ends].sort().join(', ')}\n`);
      expect([...ends].sort()).toEqual([...(ENDS[name] ?? [])].sort());
    },
    600_000,
  );
});
