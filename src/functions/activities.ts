import { app as durable, getClient, input as durableInput, type DurableClient } from 'durable-functions';
import type { InvocationContext } from '@azure/functions';
import type { z } from 'zod';
import { InputError, PolicyError, PromoterError, VerificationError, describeError, isRecord } from '../oci/index.js';
import { formatDuration } from '../rules/duration.js';
import type { Engine } from '../ports/engine.js';
import type { SignerSource } from '../signing/index.js';
import type { ActivityReply } from './durable-driver.js';
import { attemptSchema, type Attempt } from '../promotions/attempt.js';
import { attachStep } from '../evidence/attach.js';
import { checkEvidenceStep } from '../evidence/check-evidence.js';
import { closeRunStep } from '../promotions/close-run.js';
import {
  closeRunContract,
  observeContract,
  markWaitingContract,
  tagDestinationContract,
} from '../promotions/contracts.js';
import {
  closeJobContract,
  beginJobContract,
  runOperationContract,
  incrementPromotionsContract,
  awaitPromotionsContract,
  tagCopyContract,
} from '../operations/contracts.js';
import type { StepContract } from '../rows/step-contract.js';
import { checkEvidenceContract, attachContract } from '../evidence/contracts.js';
import { copyContract, verifyArrivalContract } from '../transfer/contracts.js';
import { copyStep } from '../transfer/copy.js';
import { readAcceptedJob } from '../operations/job-schema.js';
import { copyRequestOf } from '../operations/copy-request.js';
import { portsOfJob } from '../operations/credential.js';
import { awaitPromotionsStep, incrementPromotionsStep } from '../operations/promote.js';
import { beginJobStep } from '../operations/begin-job.js';
import { closeJobStep } from '../operations/close-job.js';
import { markWaitingStep } from '../promotions/mark-waiting.js';
import { observeStep } from '../promotions/observe.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { runOperationStep } from '../operations/run-operation.js';
import { asSourceGone } from '../transfer/source-gone.js';
import { tagCopyStep } from '../operations/tag-copy.js';
import { tagDestinationStep } from '../promotions/tag-destination.js';
import { verifyArrivalStep } from '../transfer/verify-arrival.js';
import { watchForCancel } from './cancel-watch.js';
import { Permits } from './permits.js';
import { signerOfNow } from './signer-of-now.js';
import { busyPauseMs, isOverdue, outlastsCall, passing, troublePauseMs, type Passing } from '../promotions/backoff.js';
import { remedyFor } from '../promotions/remedies.js';
import { stepLog, type StepLog } from './step-log.js';
import type { RunRow } from '../rows/run-row.js';
import { unansweredOf, unansweredText } from '../promotions/unanswered.js';
import { noteUnanswered } from '../promotions/unanswered-registries.js';
import { stepProgress, type StepProgressRow } from './step-progress.js';

/** All ports but the engine, which needs the client of the invocation, and the signer, which is another after a rotation. */
export interface StaticPorts extends Omit<Ports, 'engine' | 'signer'> {
  /** Undefined where no key is set. */
  signing: SignerSource | undefined;
}
export type EngineOf = (client: DurableClient) => Engine;

/** One activity works for so long at most, in milliseconds; below the host's functionTimeout. */
const ACTIVITY_MS = 9 * 60_000;
/** Long steps that a process does at once: two fewer than host.json gives it activities, so that short steps always run. */
const LONG_STEPS = 2;
/**
 * How long a long step waits here for a permit, and its first pause without one, in milliseconds; pauses grow. One that has had its turn
 * ends after the pieces that it is moving.
 */
const NEXT_PERMIT_MS = 3_000;
const PERMIT_MS = 2_000;
/** Steps that take a moment: their progress is written when they end, or wait. */
const CLOSES: ReadonlySet<string> = new Set([closeRunContract.name, closeJobContract.name]);
/** A look at the tag of a run whose source is not there; in milliseconds. */
const LOOK_MS = 60_000;
/** Characters of an error's message that go into history; more are cut off. */
const MESSAGE_CHARACTERS = 2_000;

interface Registration {
  ports: StaticPorts;
  engineOf: EngineOf;
  permits: Permits;
}

/** A step that never asks to be called again. */
async function plain<T>(result: Promise<T>): Promise<StepReply<T>> {
  return { done: await result };
}

/** Registers every step as an activity. */
export function registerActivities(ports: StaticPorts, engineOf: EngineOf): void {
  const registration = { ports, engineOf, permits: new Permits(LONG_STEPS) };
  const add = <I extends z.ZodType, R extends z.ZodType>(
    contract: StepContract<I, R>,
    run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
  ): void => register(registration, contract, run);
  /** A copy reaches its registries as its job says, if that names a credential. */
  const copying = (all: Ports, { run }: StepCall): Ports =>
    run?.input.kind === 'job' ? portsOfJob(all, readAcceptedJob(run.input.job)) : all;
  add(observeContract, observeStep);
  add(checkEvidenceContract, checkEvidenceStep);
  add(markWaitingContract, markWaitingStep);
  add(attachContract, attachStep);
  add(copyContract, (all, input, call) => copyStep(copying(all, call), copyRequestOf(call.run), input, call));
  add(verifyArrivalContract, (all, input, call) =>
    verifyArrivalStep(copying(all, call), copyRequestOf(call.run), input, call),
  );
  add(tagDestinationContract, tagDestinationStep);
  add(closeRunContract, closeRunStep);
  add(beginJobContract, (all, input) => plain(beginJobStep(all, input)));
  add(runOperationContract, runOperationStep);
  add(incrementPromotionsContract, (all, input, call) => plain(incrementPromotionsStep(all, input, call)));
  add(awaitPromotionsContract, awaitPromotionsStep);
  add(tagCopyContract, (all, input, call) => tagCopyStep(copying(all, call), copyRequestOf(call.run), input, call));
  add(closeJobContract, (all, input) => plain(closeJobStep(all, input)));
}

function register<I extends z.ZodType, R extends z.ZodType>(
  { ports, engineOf, permits }: Registration,
  contract: StepContract<I, R>,
  run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
): void {
  durable.activity(contract.name, {
    extraInputs: [durableInput.durableClient()],
    handler: async (raw: unknown, context: InvocationContext): Promise<ActivityReply> => {
      const progress = stepProgress(ports, contract.name, raw);
      const attempt = attemptOf(raw);
      const cancel = watchForCancel(ports, contract.name, raw);
      const log = stepLog(context, progress.step, raw);
      const startedMs = performance.now();
      // Waits are measured by the engine's clock: two hosts' clocks may be apart.
      const nowMs = (): number =>
        attempt?.nowMs === undefined ? ports.now().getTime() : attempt.nowMs + (performance.now() - startedMs);
      const work = async (): Promise<ActivityReply> => {
        const input = inputOf(contract, raw);
        const engine = engineOf(getClient(context));
        const [stopped] = await Promise.all([cancel.begin(), CLOSES.has(contract.name) ? undefined : progress.begin()]);
        if (stopped !== undefined && !cancel.isLeftToStep) throw stopped;
        const permit = contract.isLong ? await permits.take(NEXT_PERMIT_MS) : undefined;
        if (contract.isLong && permit === undefined) return waitForPermit(progress, attempt, nowMs());
        try {
          const finish = AbortSignal.timeout(ACTIVITY_MS);
          const waitedMs = attempt === undefined ? 0 : nowMs() - attempt.sinceMs;
          const trouble = attempt?.code !== undefined && { code: attempt.code, forMs: nowMs() - attempt.codeSinceMs };
          const signal = AbortSignal.any([finish, cancel.signal]);
          const call = {
            signal,
            finish,
            waitedMs,
            progress,
            isWaitedFor: () => permits.isWaitedFor,
            run: cancel.run,
            ...(trouble && { trouble }),
          };
          const signer = await signerOfNow(ports.signing, signal);
          const reply = await run({ ...ports, engine, signer }, input, call);
          await progress.end('done' in reply ? 'done' : 'waiting');
          // One that polls says once that it waits.
          if (progress.state === 'done' || attempt === undefined)
            log.info(`${progress.state} in ${Math.round(performance.now() - startedMs)} ms: ${progress.said}`);
          if ('done' in reply) return reply;
          // One that had its turn goes to the end of the line.
          const isTurnOver = reply.retryAfterMs === 0 && permits.isWaitedFor;
          return callAgain(isTurnOver ? PERMIT_MS : reply.retryAfterMs, attempt, nowMs());
        } finally {
          permit?.();
        }
      };
      const answer = (error: unknown): Promise<ActivityReply> =>
        failed(error, { ports, name: contract.name, attempt, now: nowMs(), progress, log, run: cancel.run });
      try {
        // Whatever a step makes of it: it was stopped.
        const reply = await log
          .during(work)
          .catch(async (error: unknown) =>
            answer(cancel.signal.aborted ? cancel.signal.reason : await understood(ports, raw, error)),
          );
        if (!('retryAfterMs' in reply)) return reply;
        // By what the wait is ended was written before this: who asks the run to stop does it the other way round.
        const stopped = await cancel.look();
        if (stopped === undefined) return { ...reply, event: progress.event };
        return cancel.isLeftToStep ? { ...reply, retryAfterMs: 0 } : await answer(stopped);
      } finally {
        cancel.end();
      }
    },
  });
}

/** A long step without a permit has asked for nothing: what it was put off for has not ended. */
async function waitForPermit(
  progress: StepProgressRow,
  attempt: Attempt | undefined,
  now: number,
): Promise<ActivityReply> {
  const message = `${LONG_STEPS} long steps are running in this process: waiting for a turn`;
  progress.text(message);
  await progress.end('waiting');
  const trouble = attempt?.code === undefined ? {} : { trouble: { code: attempt.code, message } };
  return { retryAfterMs: busyPauseMs(PERMIT_MS, attempt, now), ...trouble };
}

/** A step that waits for its turn, or, with 0, a long one that continues: it waits for the same as before if that outlasts a call. */
function callAgain(retryAfterMs: number, attempt: Attempt | undefined, now: number): ActivityReply {
  const pauseMs = retryAfterMs === 0 ? 0 : busyPauseMs(retryAfterMs, attempt, now);
  if (attempt?.code === undefined || !outlastsCall(attempt)) return { retryAfterMs: pauseMs };
  return { retryAfterMs: pauseMs, trouble: { code: attempt.code, message: '' } };
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

/** Where it is the source of a promotion that is not there, that is what it is. */
async function understood(ports: StaticPorts, raw: unknown, error: unknown): Promise<unknown> {
  const runId = isRecord(raw) && typeof raw.runId === 'string' ? raw.runId : undefined;
  try {
    return await asSourceGone(ports, runId, error, AbortSignal.timeout(LOOK_MS));
  } catch (other) {
    return other;
  }
}

/** What the driver says of the calls before this one. */
function attemptOf(raw: unknown): Attempt | undefined {
  return isRecord(raw) ? attemptSchema.safeParse(raw.attempt).data : undefined;
}

/** The steps whose input names what somebody asks for by a job. */
const ASKED: ReadonlySet<string> = new Set([runOperationContract.name, incrementPromotionsContract.name]);

interface Failing {
  ports: StaticPorts;
  /** The run's row, as far as the step has read it. */
  run: RunRow | undefined;
  name: string;
  attempt: Attempt | undefined;
  now: number;
  progress: StepProgressRow;
  log: StepLog;
}

/**
 * What may pass is asked for again, later; what trying again won't mend is an answer. Only what nobody foresaw is thrown, for the
 * engine to try again at once, as it does where a worker dies.
 */
async function failed(error: unknown, failing: Failing): Promise<ActivityReply> {
  const { name, attempt, now, progress, log } = failing;
  const passes = passing(error, name, ASKED.has(name));
  if (passes !== undefined && !isOverdue(passes, attempt, now)) return putOff(error, passes, failing);
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
  const spent =
    passes === undefined || attempt === undefined ? '' : `, for ${formatDuration(now - attempt.codeSinceMs)}`;
  return { failed: { code, message: `${message}${spent}`, refused, remedy } };
}

/** The run's row says what it waits for. */
async function putOff(error: unknown, passes: Passing, failing: Failing): Promise<ActivityReply> {
  const { ports, attempt, now, progress, log, run } = failing;
  const { code, message: whole, remedy: advice } = passes.trouble;
  const remedy = remedyFor(code, advice);
  const message = whole.slice(0, MESSAGE_CHARACTERS);
  const retryAfterMs = troublePauseMs(passes, attempt, now);
  const tries = (attempt?.count ?? 0) + 1;
  const isLast = attempt !== undefined && now >= attempt.untilMs;
  const nextMs = Math.min(now + retryAfterMs, attempt?.untilMs ?? Infinity);
  const unanswered = unansweredOf(error, run);
  const isSame = unanswered === undefined || attempt === undefined || attempt.code === code;
  const sinceMs = unanswered === undefined ? attempt?.sinceMs : isSame ? attempt?.codeSinceMs : now;
  const waitsFor = {
    code,
    tries,
    since: new Date(sinceMs ?? now).toISOString(),
    nextAt: new Date(nextMs).toISOString(),
    ...(unanswered !== undefined && { unanswered: unanswered.host }),
  };
  const text = `${code}: ${message}`;
  log.warn(`${text}; tried ${tries} times, ${isLast ? 'given up' : `again in ${formatDuration(nextMs - now)}`}`);
  await (isLast
    ? progress.fail(`${text}; given up after ${tries} tries`)
    : progress.wait(unanswered === undefined ? text : unansweredText(unanswered, waitsFor), waitsFor));
  // For people: a table that is down must not fail the step.
  if (unanswered !== undefined && !isLast) {
    try {
      await noteUnanswered(ports, unanswered, waitsFor);
    } catch {
      log.warn('it could not be noted for status');
    }
  }
  return { retryAfterMs, trouble: { code, message, remedy } };
}
