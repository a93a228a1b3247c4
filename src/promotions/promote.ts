import { attachContract, checkEvidenceContract } from '../evidence/contracts.js';
import { closeRunContract, markWaitingContract, observeContract } from './contracts.js';
import { copyContract, tagDestinationContract, verifyArrivalContract } from '../transfer/contracts.js';
import { type InputOf, type ResultOf } from '../rows/step-contract.js';
import { StepFailed, call, now, waitFor, type Order } from '../rows/order.js';
import { RUN_CANCELLED } from '../rows/cancellation.js';

export interface RunKey {
  promotionId: string;
  runId: string;
}
export type Result = InputOf<typeof closeRunContract>['result'];
type Looked = NonNullable<InputOf<typeof closeRunContract>['looked']>;
type Found = Extract<ResultOf<typeof observeContract>, { state: 'found' }>;

/** Another run owns the promotion now. This one writes nothing more. */
type Gone = 'gone';

/** How long a run waits at a closed gate, and how often it checks without an event, in milliseconds. */
const GATE_MS = 60 * 60_000;
const GATE_LOOK_MS = 5 * 60_000;
/** How long closing a run is retried, in milliseconds. If it fails, the run stays open. */
const CLOSE_MS = 24 * 3_600_000;

const SUPERSEDED: Result = { outcome: 'superseded', reason: 'the tag moved on' };

/** What a run has found so far. The close needs it, whichever step fails. */
interface Progress {
  /** The generation that the run answers. Undefined before it has read one. */
  generation?: number;
  digest?: string | undefined;
  /** The reported referrers that the run has looked for. */
  looked?: Looked | undefined;
  did: string[];
}

/**
 * The order of the steps of a promotion: observe, gate, attach, copy, verify arrival, tag, close. Each step can be
 * repeated. If a step fails, the run still closes the row or opens the next run.
 * @returns the result; null if the run does not own its promotion
 */
export function* promote(key: RunKey): Order<Result | null> {
  const progress: Progress = { did: [] };
  let result: Result | Gone;
  try {
    result = yield* work(key, progress);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    result = failedResult(error);
  }
  if (result === 'gone') return null;
  const { digest, ...found } = progress;
  const complete = { ...result, digest };
  yield* call(closeRunContract, { ...key, ...found, result: complete }, (yield* now()) + CLOSE_MS);
  return complete;
}

function* work(key: RunKey, progress: Progress): Order<Result | Gone> {
  const observed = yield* call(observeContract, key);
  if (observed.state === 'gone') return 'gone';
  progress.generation = observed.generation;
  if (observed.state !== 'found') {
    const { code, reason, remedy, digest } = observed;
    progress.digest = digest;
    return { outcome: observed.state === 'nothing' ? 'unchanged' : 'refused', code, reason, remedy };
  }
  const { root, differences, mode, gate, attachTo, looked } = observed;
  progress.digest = root.digest;
  progress.looked = looked;
  const isSame = differences.length === 0;
  if (isSame && gate === 'passed') return { outcome: 'unchanged' };
  if (mode === 'observe') {
    if (isSame) return yield* observeGate(key, observed);
    return { outcome: 'observed', reason: differences.join('; ') };
  }

  if (gate === 'closed') {
    const passed = yield* waitAtGate(key, observed, progress);
    if (passed !== 'passed' && passed !== 'passed at once') return passed;
    // If a trigger came while the run waited, copy even if nothing differed before: the new evidence must arrive, too.
    if (isSame && passed === 'passed at once' && progress.generation === observed.generation)
      return { outcome: 'unchanged' };
  }

  if (attachTo === 'source') yield* attach(key, observed, progress);
  const copied = yield* call(copyContract, { ...key, root: root.digest });
  if (copied.state === 'superseded') return SUPERSEDED;
  if (copied.looked) progress.looked = copied.looked;
  progress.did.push(`copied ${copied.copied}, mounted ${copied.mounted}, ${copied.existed} were there`);
  const { repaired } = yield* call(verifyArrivalContract, key);
  if (repaired > 0) progress.did.push(`put ${repaired} referrers again`);
  if (attachTo === 'destination') yield* attach(key, observed, progress);
  const { state, reference } = yield* call(tagDestinationContract, { ...key, root });
  if (state === 'gone') return 'gone';
  if (state === 'superseded') return SUPERSEDED;
  progress.did.push(`tagged ${reference}`);
  return { outcome: 'promoted' };
}

/** The rule only observes and nothing differs: checks whether the gate would be closed. */
function* observeGate(key: RunKey, { root }: Found): Order<Result | Gone> {
  const seen = yield* call(checkEvidenceContract, { ...key, root, look: 1 });
  switch (seen.state) {
    case 'gone':
      return 'gone';
    case 'superseded':
      return SUPERSEDED;
    case 'passed':
      return { outcome: 'unchanged' };
    case 'closed':
      return { outcome: 'observed', reason: `evidence is missing: ${seen.reasons.join('; ')}` };
  }
}

/** Checks the gate, waits, and checks again after a push or after a while. If pushes keep coming, the pauses grow. */
function* waitAtGate(
  key: RunKey,
  { root }: Found,
  progress: Progress,
): Order<Result | Gone | 'passed at once' | 'passed'> {
  const since = yield* now();
  const deadline = since + GATE_MS;
  for (let look = 1; ; look += 1) {
    const seen = yield* call(checkEvidenceContract, { ...key, root, look });
    if (seen.state === 'gone') return 'gone';
    if (seen.state === 'superseded') return SUPERSEDED;
    progress.generation = seen.generation;
    if (seen.state === 'passed') return look === 1 ? 'passed at once' : 'passed';
    const at = yield* now();
    if (at >= deadline) {
      return {
        outcome: 'refused',
        code: 'EVIDENCE_MISSING',
        reason: seen.reasons.join('; '),
        evidence: seen.evidence,
        remedy: 'Sign the image as the rule asks; the push of the signature starts the next run.',
      };
    }
    // Each wait has its own event name, so an event that comes late ends no later wait.
    const event = `evidence-${look}`;
    const pauseMs = Math.min(pauseBeforeNext(look, at - since), deadline - at);
    const waiting = { ...key, generation: seen.generation, event, reasons: seen.reasons, pauseMs };
    // The gate may stay closed for longer than the rule's deadline, because waiting at the gate is not an error.
    const marked = yield* call(markWaitingContract, waiting, deadline + GATE_LOOK_MS);
    if (marked === 'gone') return 'gone';
    if (marked === 'again') continue;
    yield* waitFor(event, Math.min(GATE_LOOK_MS, deadline - (yield* now())));
  }
}

/** Attaches SBOMs and signatures to the whole graph. */
function* attach(key: RunKey, { root }: Found, progress: Progress): Order<void> {
  const { did } = yield* call(attachContract, { ...key, root: root.digest });
  progress.did.push(...did);
}

/** The result of a run in which a step failed permanently. */
export function failedResult({ code, message, remedy, refused }: StepFailed): Result {
  // The tag moved while a step waited. The next run promotes its new digest.
  if (code === 'SUPERSEDED') return { outcome: 'superseded', reason: message };
  const outcome = code === RUN_CANCELLED ? 'cancelled' : refused ? 'refused' : 'failed';
  return { outcome, code, reason: message, remedy };
}

/** The first checks of a closed gate, which have no pause. */
const FREE_LOOKS = 5;
/** The pause before the next check, in milliseconds, its growth, and its maximum. */
const FIRST_MS = 2_000;
const GROWTH = 1.25;
const MOST_MS = 120_000;

/**
 * How long a run waits before it checks the gate again, in milliseconds. The pause grows with the number of checks,
 * however many pushes come; checks that were not used can be used later. There are about fifty checks in an hour, so
 * that the history stays small.
 * @param looks checks so far
 * @param spentMs time since the first check
 */
export function pauseBeforeNext(looks: number, spentMs: number): number {
  let earliestMs = 0;
  for (let paced = 0; paced <= looks - FREE_LOOKS; paced += 1) earliestMs += paceMs(paced);
  return Math.max(0, Math.min(earliestMs - spentMs, MOST_MS));
}

function paceMs(paced: number): number {
  return Math.min(Math.round(FIRST_MS * GROWTH ** paced), MOST_MS);
}
