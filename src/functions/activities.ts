import { app as durable, getClient, input as durableInput, type DurableClient } from 'durable-functions';
import type { InvocationContext } from '@azure/functions';
import type { z } from 'zod';
import {
  InputError,
  PolicyError,
  PromoterError,
  RegistryError,
  VerificationError,
  describeError,
} from '../oci/index.js';
import type { Engine } from '../runs/ports.js';
import { attachSbomStep } from '../steps/attach-sbom.js';
import { attachSignatureStep } from '../steps/attach-signature.js';
import { beginRunStep } from '../steps/begin-run.js';
import { checkEvidenceStep } from '../steps/check-evidence.js';
import { closeRunStep } from '../steps/close-run.js';
import * as contracts from '../steps/contracts.js';
import { copyGraphStep, verifyArrivalStep } from '../steps/copy-graph.js';
import { awaitPromotionsStep, beginJobStep, closeJobStep, raisePromotionsStep } from '../steps/job.js';
import { markWaitingStep } from '../steps/mark-waiting.js';
import { observeStep } from '../steps/observe.js';
import { planCopyStep } from '../steps/plan-copy.js';
import type { Ports, StepCall, StepReply } from '../steps/ports.js';
import { runOperationStep } from '../steps/run-operation.js';
import { tagCopyStep, tagDestinationStep } from '../steps/tag-destination.js';
import { walkScheduleStep } from '../steps/walk-schedule.js';
import type { ActivityReply } from './orchestrations/step.js';
import { stepProgress } from './step-progress.js';

/** All ports but the engine, which needs the client of the invocation. */
export type StaticPorts = Omit<Ports, 'engine'>;
export type EngineOf = (client: DurableClient) => Engine;

/** One activity works for so long at most; below the host's functionTimeout. */
const ACTIVITY_MS = 25 * 60_000;
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
    contract: contracts.StepContract<I, R>,
    run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
  ): void => register(registration, contract, run);
  add(contracts.beginRunContract, (ports, input) => plain(beginRunStep(ports, input)));
  add(contracts.observeContract, (ports, input, call) => plain(observeStep(ports, input, call)));
  add(contracts.checkEvidenceContract, (ports, input, call) => plain(checkEvidenceStep(ports, input, call)));
  add(contracts.markWaitingContract, (ports, input, call) => plain(markWaitingStep(ports, input, call)));
  add(contracts.attachSbomContract, attachSbomStep);
  add(contracts.attachSignatureContract, attachSignatureStep);
  add(contracts.planCopyContract, (ports, input, call) => plain(planCopyStep(ports, input, call)));
  add(contracts.copyGraphContract, (ports, input, call) => plain(copyGraphStep(ports, input, call)));
  add(contracts.verifyArrivalContract, (ports, input, call) => plain(verifyArrivalStep(ports, input, call)));
  add(contracts.tagDestinationContract, tagDestinationStep);
  add(contracts.closeRunContract, (ports, input) => plain(closeRunStep(ports, input)));
  add(contracts.beginJobContract, (ports, input) => plain(beginJobStep(ports, input)));
  add(contracts.runOperationContract, runOperationStep);
  add(contracts.raisePromotionsContract, (ports, input, call) => plain(raisePromotionsStep(ports, input, call)));
  add(contracts.awaitPromotionsContract, awaitPromotionsStep);
  add(contracts.tagCopyContract, tagCopyStep);
  add(contracts.closeJobContract, (ports, input) => plain(closeJobStep(ports, input)));
  add(contracts.walkScheduleContract, (ports, input, call) => plain(walkScheduleStep(ports, input, call)));
}

function register<I extends z.ZodType, R extends z.ZodType>(
  { ports, engineOf }: Registration,
  contract: contracts.StepContract<I, R>,
  run: (ports: Ports, input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
): void {
  durable.activity(contract.name, {
    extraInputs: [durableInput.durableClient()],
    handler: async (raw: unknown, context: InvocationContext): Promise<ActivityReply> => {
      const progress = stepProgress(ports, contract.name, raw);
      try {
        const input = inputOf(contract, raw);
        const engine = engineOf(getClient(context));
        await progress.begin();
        const call = { signal: AbortSignal.timeout(ACTIVITY_MS), progress };
        const reply = await run({ ...ports, engine }, input, call);
        await progress.end('later' in reply ? 'waiting' : 'done');
        return reply;
      } catch (error) {
        return await failed(error, contract.name, progress, context);
      }
    },
  });
}

/** History is a boundary: an older version may have written it. @throws InputError `STEP_INPUT_INVALID` */
function inputOf<I extends z.ZodType, R extends z.ZodType>(
  contract: contracts.StepContract<I, R>,
  raw: unknown,
): z.infer<I> {
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

/** How long the registry asked to stay away, where that is why it failed: in milliseconds. */
function retryAfterOf(error: unknown): number | undefined {
  // A copy's error has the registry's as its cause.
  for (let [cause, depth] = [error, 0]; cause instanceof PromoterError && depth < 10; depth += 1) {
    if (cause instanceof RegistryError && cause.info.status === 429) return cause.info.retryAfterMs;
    ({ cause } = cause);
  }
  return undefined;
}

/** What trying again won't mend is an answer; what may pass is thrown, so that the engine tries again. */
async function failed(
  error: unknown,
  name: string,
  progress: ReturnType<typeof stepProgress>,
  context: InvocationContext,
): Promise<ActivityReply> {
  const { code, message: whole, remedy, transient } = describeError(error);
  const message = whole.slice(0, MESSAGE_CHARACTERS);
  const later = transient ? retryAfterOf(error) : undefined;
  if (later !== undefined) {
    await progress.end('waiting');
    context.warn(`${name}: ${code}: ${message}`);
    return { later };
  }
  await progress.fail(`${code}: ${message}`);
  if (transient) {
    // A bug shows itself by its stack; only code and message go into history.
    context.warn(
      `${name}: ${error instanceof PromoterError || !(error instanceof Error) ? `${code}: ${message}` : error.stack}`,
    );
    throw new Error(`${code}: ${message}`);
  }
  const refused = error instanceof PolicyError || error instanceof VerificationError;
  return { failed: { code, message, refused, ...(remedy !== undefined && { remedy }) } };
}
