import { app as durable, getClient, input as durableInput, type DurableClient } from 'durable-functions';
import type { InvocationContext } from '@azure/functions';
import type { z } from 'zod';
import { InputError, PromoterError } from '../oci/index.js';
import type { Engine } from '../ports/engine.js';
import { failingSigner, type Signer, type SignerSource } from '../signing/index.js';
import { callOf, type ActivityReply } from './durable-driver.js';
import { type Attempt, busyPauseMs, outlastsCall } from '../promotions/backoff.js';
import { attachStep } from '../evidence/attach.js';
import { checkEvidenceStep } from '../evidence/check-evidence.js';
import { closeRunStep } from '../promotions/close-run.js';
import { closeRunContract, observeContract, markWaitingContract } from '../promotions/contracts.js';
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
import { copyContract, tagDestinationContract, verifyArrivalContract } from '../transfer/contracts.js';
import { copyRequestOfPromotion, copyStep, verifyArrivalStep, type CopyRequest } from '../transfer/copy.js';
import { readAcceptedJob } from '../operations/job-schema.js';
import { copyRequestOf } from '../operations/copy-request.js';
import { portsOfJob } from '../operations/credential.js';
import { awaitPromotionsStep, incrementPromotionsStep } from '../operations/promote.js';
import { beginJobStep } from '../operations/begin-job.js';
import { closeJobStep } from '../operations/close-job.js';
import { markWaitingStep } from '../promotions/mark-waiting.js';
import { observeStep } from '../promotions/observe.js';
import { asSourceError } from '../promotions/source-gone.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { runOperationStep } from '../operations/run-operation.js';
import { tagCopyStep } from '../operations/tag-copy.js';
import { tagDestinationStep } from '../transfer/tag.js';
import { failedStep } from './failed-step.js';
import { CancelWatch, CLOSES } from './cancel-watch.js';
import { stepLog, stepProgress, type StepProgressRow } from './step-reporting.js';

/**
 * All ports except two: the engine, which needs the client of the invocation, and the signer, which changes after a key
 * rotation.
 */
export interface StaticPorts extends Omit<Ports, 'engine' | 'signer'> {
  /** Undefined if no key is configured. */
  signing: SignerSource | undefined;
}
export type EngineOf = (client: DurableClient) => Engine;

/** The time limit of one activity, in milliseconds. It is below the host's functionTimeout. */
const ACTIVITY_MS = 9 * 60_000;
/**
 * How many long steps a process runs at once: two fewer than its activities in host.json, so that short steps always
 * run.
 */
export const LONG_STEPS = 2;
/**
 * How long a long step waits for a permit in its activity, and its first pause after that, in milliseconds. Pauses
 * grow. A step whose turn is over first finishes the chunks that it is copying.
 */
const NEXT_PERMIT_MS = 3_000;
const PERMIT_MS = 2_000;

interface Registration {
  ports: StaticPorts;
  engineOf: EngineOf;
  permits: Permits;
}

/** Wraps a step that never asks to be called again. */
async function plain<T>(result: Promise<T>): Promise<StepReply<T>> {
  return { done: await result };
}

/** Registers each step as an activity. */
export function registerActivities(ports: StaticPorts, engineOf: EngineOf): void {
  const registration = { ports, engineOf, permits: new Permits(LONG_STEPS) };
  const add = <I extends z.ZodType, R extends z.ZodType>(
    contract: StepContract<I, R>,
    run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
  ): void => register(registration, contract, run);
  /** A copy uses the credential that its job names, if there is one. */
  const copying = (all: Ports, { run }: StepCall): Ports =>
    run?.input.kind === 'job' ? portsOfJob(all, readAcceptedJob(run.input.job)) : all;
  const requestOf = ({ run }: StepCall): CopyRequest =>
    run?.input.kind === 'promotion' ? copyRequestOfPromotion(run.input) : copyRequestOf(run);
  add(observeContract, observeStep);
  add(checkEvidenceContract, checkEvidenceStep);
  add(markWaitingContract, markWaitingStep);
  add(attachContract, attachStep);
  add(copyContract, (all, input, call) => copyStep(copying(all, call), requestOf(call), input, call));
  add(verifyArrivalContract, (all, input, call) => verifyArrivalStep(copying(all, call), requestOf(call), input, call));
  add(tagDestinationContract, tagDestinationStep);
  add(closeRunContract, closeRunStep);
  add(beginJobContract, (all, input) => plain(beginJobStep(all, input)));
  add(runOperationContract, runOperationStep);
  add(incrementPromotionsContract, (all, input, call) => plain(incrementPromotionsStep(all, input, call)));
  add(awaitPromotionsContract, awaitPromotionsStep);
  add(tagCopyContract, (all, input, call) => tagCopyStep(copying(all, call), requestOf(call), input, call));
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
      const called = callOf(raw);
      const { runId, attempt } = called;
      const progress = stepProgress(ports, contract.name, called);
      const cancel = new CancelWatch(ports, contract.name, runId);
      const log = stepLog(context, progress.step, runId);
      const startedMs = performance.now();
      // Waits are measured by the engine's clock, because the clocks of two hosts may differ.
      const nowMs = (): number =>
        attempt?.nowMs === undefined ? ports.now().getTime() : attempt.nowMs + (performance.now() - startedMs);
      const work = async (): Promise<ActivityReply> => {
        const input = inputOf(contract, raw);
        const engine = engineOf(getClient(context));
        const beginning = () => (contract.name === observeContract.name ? progress.beginLate() : progress.begin());
        const [stopped] = await Promise.all([cancel.begin(), CLOSES.has(contract.name) ? undefined : beginning()]);
        if (stopped !== undefined && !cancel.isLeftToStep) throw stopped;
        const permit = contract.isLong ? await permits.take(NEXT_PERMIT_MS) : undefined;
        if (contract.isLong && permit === undefined) return waitForPermit(progress, attempt, nowMs());
        try {
          const finish = AbortSignal.timeout(ACTIVITY_MS);
          const waitedMs = attempt === undefined ? 0 : nowMs() - attempt.sinceMs;
          const trouble =
            attempt?.code === undefined ? undefined : { code: attempt.code, forMs: nowMs() - attempt.codeSinceMs };
          const signal = AbortSignal.any([finish, cancel.signal]);
          const { run: row, runVersion } = cancel;
          const isWaitedFor = (): boolean => permits.isWaitedFor;
          const call = { signal, finish, waitedMs, progress, isWaitedFor, run: row, runVersion, trouble };
          const signer = await signerOfNow(ports.signing, signal);
          const reply = await run({ ...ports, engine, signer }, input, call);
          await progress.end('done' in reply ? 'done' : 'waiting');
          // A step that waits logs its state only at its first call.
          if (progress.state === 'done' || attempt === undefined)
            log.info(`${progress.state} in ${Math.round(performance.now() - startedMs)} ms: ${progress.said}`);
          if ('done' in reply) return reply;
          // A step whose turn is over waits behind the others.
          const isTurnOver = reply.retryAfterMs === 0 && permits.isWaitedFor;
          return callAgain(isTurnOver ? PERMIT_MS : reply.retryAfterMs, attempt, nowMs());
        } finally {
          permit?.();
        }
      };
      const answer = (error: unknown): Promise<ActivityReply> =>
        failedStep(error, { ports, name: contract.name, attempt, now: nowMs(), progress, log, run: cancel.run });
      try {
        // If the run was stopped, the reason for that is the error, even if the step threw another one.
        const reply = await log
          .during(work)
          .catch(async (error: unknown) =>
            answer(cancel.signal.aborted ? cancel.signal.reason : await asSourceError(ports, runId, error)),
          );
        if (!('retryAfterMs' in reply)) return reply;
        // The event that ends the wait is already written. A request to stop writes its flag first and then reads the
        // event, so one of the two sees the other.
        const stopped = await cancel.look();
        if (stopped === undefined) return { ...reply, event: progress.event };
        return cancel.isLeftToStep ? { ...reply, retryAfterMs: 0 } : await answer(stopped);
      } finally {
        cancel.end();
      }
    },
  });
}

/** A long step without a permit has sent no request, so the error for which it backed off may still be there. */
async function waitForPermit(
  progress: StepProgressRow,
  attempt: Attempt | undefined,
  now: number,
): Promise<ActivityReply> {
  const message = `${LONG_STEPS} long steps are running in this process: waiting for a turn`;
  progress.text(message);
  await progress.end('waiting');
  const trouble = attempt?.code === undefined ? undefined : { code: attempt.code, message };
  return { retryAfterMs: busyPauseMs(PERMIT_MS, attempt, now), trouble };
}

/**
 * Answers that a step waits, or, with 0, that a long step continues. An error that may last longer than one call is
 * named again.
 */
function callAgain(retryAfterMs: number, attempt: Attempt | undefined, now: number): ActivityReply {
  const pauseMs = retryAfterMs === 0 ? 0 : busyPauseMs(retryAfterMs, attempt, now);
  if (attempt?.code === undefined || !outlastsCall(attempt)) return { retryAfterMs: pauseMs };
  return { retryAfterMs: pauseMs, trouble: { code: attempt.code, message: '' } };
}

/**
 * Parses the input, because an older version may have written it to the history.
 * @throws InputError `STEP_INPUT_INVALID`
 */
function inputOf<I extends z.ZodType, R extends z.ZodType>(contract: StepContract<I, R>, raw: unknown): z.infer<I> {
  const parsed = contract.input.safeParse(raw);
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `${path.map(String).join('.')}: ${message}`);
  const text = `the input of ${contract.name} is not valid for this version: ${paths.join('; ')}`;
  throw new InputError('STEP_INPUT_INVALID', text, {
    remedy: 'If another version of the app asked, do nothing: the next run starts from the beginning.',
  });
}

/** Limits how much work of one kind a process does at once. */
export class Permits {
  #free: number;
  #handOver: (() => void) | undefined;

  /** @param count at least 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /** True while a caller waits for a permit. */
  get isWaitedFor(): boolean {
    return this.#handOver !== undefined;
  }

  /**
   * Takes a permit. If none is free, waits for the next one, but only one caller may wait, because waiting blocks an
   * activity.
   * @returns a function that returns the permit; undefined if there is none
   */
  async take(waitMs: number): Promise<(() => void) | undefined> {
    if (this.#free > 0) this.#free -= 1;
    else if (this.#handOver !== undefined || !(await this.#next(waitMs))) return undefined;
    return () => {
      if (this.#handOver === undefined) this.#free += 1;
      else this.#handOver();
    };
  }

  /** @returns true if it got a permit in time */
  #next(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isGiven: boolean): void => {
        clearTimeout(timer);
        this.#handOver = undefined;
        resolve(isGiven);
      };
      const timer = setTimeout(() => end(false), waitMs);
      this.#handOver = () => end(true);
    });
  }
}

/** Returns one signer for a whole call. If it is unavailable, steps that sign nothing can still run. */
export async function signerOfNow(source: SignerSource | undefined, signal: AbortSignal): Promise<Signer | undefined> {
  try {
    return await source?.current(signal);
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    return failingSigner(error);
  }
}
