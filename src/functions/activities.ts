import { app as durable, getClient, input as durableInput, type DurableClient } from 'durable-functions';
import type { InvocationContext } from '@azure/functions';
import type { z } from 'zod';
import { InputError, PolicyError, PromoterError, VerificationError, describeError, isRecord } from '../oci/index.js';
import { formatDuration } from '../rules/duration.js';
import type { Engine } from '../ports/engine.js';
import { failingSigner, type Signer, type SignerSource } from '../signing/index.js';
import { attachSbomStep } from '../evidence/attach-sbom.js';
import { attachSignatureStep } from '../evidence/attach-signature.js';
import { beginRunStep } from '../promotions/begin-run.js';
import { checkEvidenceStep } from '../evidence/check-evidence.js';
import { closeRunStep } from '../promotions/close-run.js';
import type { StepContract } from '../rows/step-contract.js';
import {
  beginRunContract,
  observeContract,
  markWaitingContract,
  tagDestinationContract,
  closeRunContract,
} from '../promotions/contracts.js';
import { checkEvidenceContract, attachSbomContract, attachSignatureContract } from '../evidence/contracts.js';
import { planCopyContract, copyGraphContract, copyPartContract, verifyArrivalContract } from '../transfer/contracts.js';
import {
  beginJobContract,
  runOperationContract,
  raisePromotionsContract,
  awaitPromotionsContract,
  tagCopyContract,
  closeJobContract,
} from '../operations/contracts.js';
import { BROKEN_RULES } from '../ports/rules-source.js';
import { walkScheduleContract } from '../schedule/contracts.js';
import { copyGraphStep, verifyArrivalStep } from '../transfer/copy-graph.js';
import { copyPartStep } from '../transfer/copy-part.js';
import { portsOfJob } from '../operations/credential.js';
import { awaitPromotionsStep, raisePromotionsStep } from '../operations/promote.js';
import { beginJobStep } from '../operations/begin-job.js';
import { closeJobStep } from '../operations/close-job.js';
import { markWaitingStep } from '../promotions/mark-waiting.js';
import { observeStep } from '../promotions/observe.js';
import { planCopyStep } from '../transfer/plan-copy.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { asSourceGone } from '../transfer/source-gone.js';
import { isMore } from '../transfer/stretch.js';
import { runOperationStep } from '../operations/run-operation.js';
import { tagCopyStep } from '../operations/tag-copy.js';
import { tagDestinationStep } from '../promotions/tag-destination.js';
import { walkScheduleStep } from '../schedule/walk-schedule.js';
import { watchForCancel } from './cancel-watch.js';
import { againOfCursor, againSchema, type Again } from '../promotions/again.js';
import type { ActivityReply } from './orchestrations/step.js';
import {
  busyPauseMs,
  isOverdue,
  outlastsStretch,
  passing,
  troublePauseMs,
  type Passing,
} from '../promotions/backoff.js';
import { remedyFor } from '../promotions/remedies.js';
import { stepLog, type StepLog } from './step-log.js';
import { stepProgress } from './step-progress.js';

/** All ports but the engine, which needs the client of the invocation, and the signer, which is another after a rotation. */
export interface StaticPorts extends Omit<Ports, 'engine' | 'signer'> {
  /** Undefined where no key is set. */
  signing: SignerSource | undefined;
}
export type EngineOf = (client: DurableClient) => Engine;

/** One activity works for so long at most; below the host's functionTimeout. */
const ACTIVITY_MS = 25 * 60_000;
/** A look at the tag of a run whose source is not there; in milliseconds. */
const LOOK_MS = 60_000;
/** Characters of an error's message that go into history; more are cut off. */
const MESSAGE_CHARACTERS = 2_000;

interface Registration {
  ports: StaticPorts;
  engineOf: EngineOf;
}

/** A step that never asks to be called again. */
async function plain<T>(result: Promise<T>): Promise<StepReply<T>> {
  return { done: await result };
}

/** Registers every step as an activity. */
export function registerActivities(registration: Registration): void {
  const add = <I extends z.ZodType, R extends z.ZodType>(
    contract: StepContract<I, R>,
    run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
  ): void => register(registration, contract, run);
  add(beginRunContract, (ports, input) => plain(beginRunStep(ports, input)));
  add(observeContract, (ports, input, call) => plain(observeStep(ports, input, call)));
  add(checkEvidenceContract, checkEvidenceStep);
  add(markWaitingContract, markWaitingStep);
  add(attachSbomContract, attachSbomStep);
  add(attachSignatureContract, attachSignatureStep);
  add(planCopyContract, (ports, input, call) => plain(planCopyStep(portsOfJob(ports, input), input, call)));
  add(copyGraphContract, (ports, input, call) => plain(copyGraphStep(portsOfJob(ports, input), input, call)));
  add(copyPartContract, (ports, input, call) => plain(copyPartStep(portsOfJob(ports, input), input, call)));
  add(verifyArrivalContract, (ports, input, call) => plain(verifyArrivalStep(portsOfJob(ports, input), input, call)));
  add(tagDestinationContract, tagDestinationStep);
  add(closeRunContract, closeRunStep);
  add(beginJobContract, (ports, input) => plain(beginJobStep(ports, input)));
  add(runOperationContract, runOperationStep);
  add(raisePromotionsContract, (ports, input, call) => plain(raisePromotionsStep(ports, input, call)));
  add(awaitPromotionsContract, awaitPromotionsStep);
  add(tagCopyContract, (ports, input, call) => tagCopyStep(portsOfJob(ports, input), input, call));
  add(closeJobContract, (ports, input) => plain(closeJobStep(ports, input)));
  add(walkScheduleContract, (ports, input, call) => plain(walkScheduleStep(ports, input, call)));
}

function register<I extends z.ZodType, R extends z.ZodType>(
  { ports, engineOf }: Registration,
  contract: StepContract<I, R>,
  run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
): void {
  durable.activity(contract.name, {
    extraInputs: [durableInput.durableClient()],
    handler: async (raw: unknown, context: InvocationContext): Promise<ActivityReply> => {
      const progress = stepProgress(ports, contract.name, raw, instanceOf(context));
      const again = againOf(raw);
      const cancel = watchForCancel(ports, contract.name, raw);
      const log = stepLog(context, progress.step, raw);
      const startedMs = performance.now();
      const work = async (): Promise<ActivityReply> => {
        const input = inputOf(contract, raw);
        const engine = engineOf(getClient(context));
        const [stopped] = await Promise.all([cancel.begin(), progress.begin()]);
        if (stopped !== undefined && !cancel.isLeftToStep) throw stopped;
        const finish = AbortSignal.timeout(ACTIVITY_MS);
        const waitedMs = again === undefined ? 0 : ports.now().getTime() - again.since;
        const call = { signal: AbortSignal.any([finish, cancel.signal]), finish, waitedMs, progress };
        const signer = await signerOfNow(ports.signing, call.signal);
        const reply = await run({ ...ports, engine, signer }, input, call);
        await progress.end('later' in reply ? 'waiting' : 'done');
        // One that polls says once that it waits.
        if (progress.state === 'done' || again === undefined)
          log.info(`${progress.state} in ${Math.round(performance.now() - startedMs)} ms: ${progress.said}`);
        if ('later' in reply) return { later: busyPauseMs(reply.later, again, ports.now().getTime()) };
        return { done: goneOnWith(reply.done, again, raw) };
      };
      const answer = (error: unknown): Promise<ActivityReply> =>
        failed(error, { name: contract.name, again, now: ports.now().getTime(), progress, log });
      try {
        // Whatever a step makes of it: it was stopped.
        const reply = await log
          .during(work)
          .catch(async (error: unknown) =>
            answer(cancel.signal.aborted ? cancel.signal.reason : await understood(ports, raw, error)),
          );
        if (!('later' in reply)) return reply;
        // By what the wait is ended was written before this: who asks the run to stop does it the other way round.
        const stopped = await cancel.look();
        if (stopped === undefined) return { ...reply, wake: progress.wake };
        return cancel.isLeftToStep ? { ...reply, later: 0 } : await answer(stopped);
      } finally {
        cancel.end();
      }
    },
  });
}

/** One signer for the whole call. Steps that sign nothing go on where there is none at the moment. */
async function signerOfNow(source: SignerSource | undefined, signal: AbortSignal): Promise<Signer | undefined> {
  try {
    return await source?.current(signal);
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    return failingSigner(error);
  }
}

/** History is a boundary: an older version may have written it. @throws InputError `STEP_INPUT_INVALID` */
function inputOf<I extends z.ZodType, R extends z.ZodType>(contract: StepContract<I, R>, raw: unknown): z.infer<I> {
  const parsed = contract.input.safeParse(raw);
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `${path.map(String).join('.')}: ${message}`);
  throw new InputError(
    'STEP_INPUT_INVALID',
    `${contract.name} was asked for what it doesn't know: ${paths.join('; ')}`,
    {
      remedy: 'Nothing, where another version of the app asked: the next run begins anew.',
    },
  );
}

/** The instance that calls the activity, where the host says. */
function instanceOf({ triggerMetadata }: InvocationContext): string | undefined {
  const id = triggerMetadata?.['instanceId'];
  return typeof id === 'string' ? id : undefined;
}

/** Where it is the source of a promotion that is not there, that is what it is. */
async function understood(ports: StaticPorts, raw: unknown, error: unknown): Promise<unknown> {
  const runId = isRecord(raw) && typeof raw.runId === 'string' ? raw.runId : undefined;
  try {
    return await asSourceGone(ports, runId, error, AbortSignal.timeout(LOOK_MS));
  } catch (other) {
    return other;
  }
}

/** What the orchestration says of the calls before this one. */
function againOf(raw: unknown): Again | undefined {
  return isRecord(raw) ? againSchema.safeParse(raw.again).data : undefined;
}

/** A stretch more is told what is still waited for. */
function goneOnWith(result: unknown, again: Again | undefined, raw: unknown): unknown {
  const waited = again !== undefined && outlastsStretch(again) ? again : againOfCursor(raw);
  if (waited === undefined || !isRecord(result) || !isMore(result)) return result;
  return { ...result, cursor: { ...result.cursor, again: waited } };
}

/** The steps whose input names what somebody asks for by a job. */
const ASKED: ReadonlySet<string> = new Set([runOperationContract.name, raisePromotionsContract.name]);

interface Failing {
  name: string;
  again: Again | undefined;
  now: number;
  progress: ReturnType<typeof stepProgress>;
  log: StepLog;
}

/**
 * What may pass is asked for again, later; what trying again won't mend is an answer. Only what nobody foresaw is thrown, for the
 * engine to try again at once, as it does where a worker dies.
 */
async function failed(error: unknown, failing: Failing): Promise<ActivityReply> {
  const { name, again, now, progress, log } = failing;
  // The schedule starts anew every minute: a tick that finds no rules ends.
  const isTick = name === walkScheduleContract.name && error instanceof PromoterError && BROKEN_RULES.has(error.code);
  const passes = isTick ? undefined : passing(error, name, ASKED.has(name));
  if (passes !== undefined && !isOverdue(passes, again, now)) return putOff(passes, failing);
  const { code, message: whole, remedy: advice } = describeError(error);
  const remedy = remedyFor(code, advice);
  const message = whole.slice(0, MESSAGE_CHARACTERS);
  await progress.fail(`${code}: ${message}`);
  if (passes === undefined && !(error instanceof PromoterError)) {
    // A bug shows itself by its stack; only code and message go into history.
    log.warn(error instanceof Error ? (error.stack ?? message) : `${code}: ${message}`);
    throw new Error(`${code}: ${message}`);
  }
  log.warn(`failed: ${code}: ${message}`);
  const refused = error instanceof PolicyError || error instanceof VerificationError;
  const spent = passes === undefined || again === undefined ? '' : `, for ${formatDuration(now - again.codeSince)}`;
  return { failed: { code, message: `${message}${spent}`, refused, remedy } };
}

/** The run's row says what it waits for. */
async function putOff(passes: Passing, { again, now, progress, log }: Failing): Promise<ActivityReply> {
  const { code, message: whole, remedy: advice } = passes.trouble;
  const remedy = remedyFor(code, advice);
  const message = whole.slice(0, MESSAGE_CHARACTERS);
  const later = troublePauseMs(passes, again, now);
  const tries = (again?.tries ?? 0) + 1;
  const isLast = again !== undefined && now >= again.until;
  const nextMs = Math.min(now + later, again?.until ?? Infinity);
  const text = `${code}: ${message}`;
  log.warn(`${text}; tried ${tries} times, ${isLast ? 'given up' : `again in ${formatDuration(nextMs - now)}`}`);
  await (isLast
    ? progress.fail(`${text}; given up after ${tries} tries`)
    : progress.wait(text, {
        code,
        tries,
        since: new Date(again?.since ?? now).toISOString(),
        nextAt: new Date(nextMs).toISOString(),
      }));
  return { later, trouble: { code, message, remedy } };
}
