import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { evidencePolicyHash } from '../../rules/fingerprint.js';
import { deadlineMs } from '../../rules/rule.js';
import {
  beginRunContract,
  closeRunContract,
  markWaitingContract,
  observeContract,
  tagDestinationContract,
} from '../../promotions/contracts.js';
import { checkEvidenceContract } from '../../evidence/contracts.js';
import { planCopyContract, verifyArrivalContract } from '../../transfer/contracts.js';
import type { InputOf, ResultOf } from '../../rows/step-contract.js';
import { attachAll } from './attach.js';
import { copyPlanned } from './copy-graph.js';
import { failedResult } from './failed-result.js';
import { pauseBeforeNext } from './gate-pace.js';
import { splitDestination } from './split-destination.js';
import { StepFailed, step, waitingUntil, type StepContext } from './step.js';
import { walk } from './walk-on.js';

const inputSchema = z.object({ promotionId: z.string(), runId: z.string() });

type Result = InputOf<typeof closeRunContract>['result'];
type Begun = Extract<ResultOf<typeof beginRunContract>, { owned: true }>;
type Found = Extract<ResultOf<typeof observeContract>, { state: 'found' }>;

/** How long a closed gate is waited for, how often it looks by itself, in milliseconds. */
const GATE_MS = 60 * 60_000;
const GATE_LOOK_MS = 5 * 60_000;

const SUPERSEDED: Result = { outcome: 'superseded', reason: 'the tag moved on' };

/** What a run has found out so far, for the close that comes whatever happens. */
interface Progress {
  wanted: number;
  digest?: string;
  did: string[];
}

/**
 * One attempt to make the destination what the rule wants. Whatever happens in between, the row is closed, or the next run
 * opened: a failure is an outcome.
 */
export function* promote(context: OrchestrationContext): Generator<Task, Result | null, unknown> {
  const { promotionId, runId } = inputSchema.parse(context.df.getInput());
  const owner = { promotionId, runId };
  const startedMs = context.df.currentUtcDateTime.getTime();
  const begun = yield* step(context, beginRunContract, owner);
  if (!begun.owned) return null;
  const progress: Progress = { wanted: begun.wanted, did: [] };
  let result: Result | 'gone';
  try {
    result = yield* work(waitingUntil(context, startedMs + deadlineMs(begun.rule)), owner, begun, progress);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    result = failedResult(error);
  }
  if (result === 'gone') return null;
  const { rule, source, destination } = begun;
  const complete = { ...result, ...(progress.digest !== undefined && { digest: progress.digest }) };
  yield* step(context, closeRunContract, {
    ...owner,
    rule,
    source,
    destination,
    wanted: progress.wanted,
    result: complete,
    did: progress.did,
  });
  return complete;
}

function* work(
  context: StepContext,
  owner: { promotionId: string; runId: string },
  begun: Begun,
  progress: Progress,
): Generator<Task, Result | 'gone', unknown> {
  const { rule, source, destination } = begun;
  const looking = { ...owner, rule, source, destination };
  // Trust stores, which only the gate needs, are most of a rule: each further call does without.
  const lighter = { ...looking, rule: { ...rule, verify: { signatures: [] } } };
  const observed = yield* walk(context, observeContract, looking, lighter);
  if (observed.state !== 'found') {
    const { state, digest, ...why } = observed;
    if (digest !== undefined) progress.digest = digest;
    return { outcome: state === 'nothing' ? 'unchanged' : 'refused', ...why };
  }
  progress.digest = observed.root.digest;
  const isSame = observed.differences.length === 0;
  const isAsked = isGateAnswered(rule, observed);
  if (isSame && isAsked) return { outcome: 'unchanged' };
  if (rule.mode === 'observe') {
    if (isSame) return yield* lookAtEvidence(context, owner, begun, observed);
    return { outcome: 'observed', reason: observed.differences.join('; ') };
  }

  if (!isAsked) {
    const gate = yield* waitForEvidence(context, owner, begun, observed, progress);
    if (gate !== 'passed at once' && gate !== 'passed') return gate;
    // What came while it waited is to be copied: the evidence, above all.
    if (isSame && gate === 'passed at once' && progress.wanted === begun.wanted) return { outcome: 'unchanged' };
  }

  if (rule.attachTo === 'source') yield* attach(context, owner, begun, observed, progress);

  const target = splitDestination(destination);
  const from = { registry: source.registry, repository: source.repository };
  const to = { registry: target.registry, repository: target.repository };
  const plan = yield* walk(context, planCopyContract, {
    runId: owner.runId,
    source: from,
    root: observed.root.digest,
    tag: source.tag,
    recursive: true,
    excludeArtifactTypes: rule.referrers.excludeArtifactTypes,
    destination: to,
  });
  if (plan.state === 'superseded') return SUPERSEDED;
  const copy = { runId: owner.runId, plan: plan.plan, source: from, destination: to };
  const moved = yield* copyPlanned(context, plan, copy);
  progress.did.push(`copied ${moved.copied}, mounted ${moved.mounted}, ${moved.existed} were there`);
  const { repaired } = yield* walk(context, verifyArrivalContract, copy);
  if (repaired > 0) progress.did.push(`put ${repaired} referrers again`);
  if (rule.attachTo === 'destination') yield* attach(context, owner, begun, observed, progress, to);
  const tagged = yield* step(context, tagDestinationContract, {
    ...owner,
    rule,
    source,
    root: observed.root,
    destination,
  });
  switch (tagged) {
    case 'tagged':
      progress.did.push(`tagged ${destination}`);
      return { outcome: 'promoted' };
    case 'superseded':
      return SUPERSEDED;
    case 'gone':
      return 'gone';
  }
}

/**
 * True if the rule demands nothing, and if what stands at the destination has passed before under the same policy: evidence that
 * expires later does not take a promoted image back. A history of before tells nothing of that: the gate was asked where something differed.
 */
function isGateAnswered(rule: Begun['rule'], { gatePassed, differences }: Found): boolean {
  const policy = evidencePolicyHash(rule);
  if (policy === undefined) return true;
  return gatePassed === undefined ? differences.length === 0 : gatePassed === policy;
}

/** Nothing differs, and the rule only observes: whether the gate would be closed. */
function* lookAtEvidence(
  context: StepContext,
  owner: { promotionId: string; runId: string },
  { rule, source }: Begun,
  { root }: Found,
): Generator<Task, Result | 'gone', unknown> {
  const seen = yield* step(context, checkEvidenceContract, { ...owner, rule, source, root });
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

/** Gate 1: looks, waits, is woken by a push, and looks by itself; rarer, where pushes don't cease. */
function* waitForEvidence(
  context: StepContext,
  owner: { promotionId: string; runId: string },
  begun: Begun,
  observed: Found,
  progress: Progress,
): Generator<Task, Result | 'gone' | 'passed at once' | 'passed', unknown> {
  const since = context.df.currentUtcDateTime.getTime();
  const deadline = since + GATE_MS;
  // The gate may be open for longer than the rule waits for trouble: a pause is none.
  const pausing = waitingUntil(context, Math.max(context.giveUpAtMs ?? 0, deadline + GATE_LOOK_MS));
  const { rule, source } = begun;
  for (let look = 1; ; look += 1) {
    const seen = yield* step(context, checkEvidenceContract, { ...owner, rule, source, root: observed.root });
    if (seen.state === 'gone') return 'gone';
    if (seen.state === 'superseded') return SUPERSEDED;
    progress.wanted = seen.wanted;
    if (seen.state === 'passed') return look === 1 ? 'passed at once' : 'passed';
    const now = context.df.currentUtcDateTime.getTime();
    if (now >= deadline) {
      return {
        outcome: 'refused',
        code: 'EVIDENCE_MISSING',
        reason: seen.reasons.join('; '),
        evidence: seen.evidence,
        remedy: 'Sign the image as the rule asks; the push of the signature starts the next run.',
      };
    }
    // A name of its own for each wait: an event that comes late goes to a wait that nobody reads.
    const event = `wanted-${look}`;
    const pauseMs = Math.min(pauseBeforeNext(look, now - since), deadline - now);
    const marked = yield* step(pausing, markWaitingContract, {
      ...owner,
      wanted: seen.wanted,
      event,
      reasons: seen.reasons,
      ...(pauseMs > 0 && { pauseMs }),
    });
    if (marked === 'gone') return 'gone';
    if (marked === 'again') continue;
    const timer = context.df.createTimer(new Date(Math.min(now + GATE_LOOK_MS, deadline)));
    const first = yield context.df.Task.any([context.df.waitForExternalEvent(event), timer]);
    if (first !== timer) timer.cancel();
  }
}

/** SBOMs and signatures; at the source as it comes. */
function* attach(
  context: StepContext,
  owner: { promotionId: string; runId: string },
  { rule, source, destination }: Begun,
  observed: Found,
  progress: Progress,
  at?: { registry: string; repository: string },
): Generator<Task, void, unknown> {
  const did = yield* attachAll(context, {
    ...owner,
    rule: { sign: rule.sign },
    source,
    ...(at === undefined ? { destination } : { at }),
    images: observed.images,
    sboms: rule.sbom.formats.length > 0,
  });
  progress.did.push(...did);
}
