import { RetryOptions, type OrchestrationContext, type Task } from 'durable-functions';
import { z } from 'zod';
import { isRecord } from '../../oci/index.js';
import { formatDuration } from '../../rules/duration.js';
import type { InputOf, ResultOf, StepContract } from '../../rows/step-contract.js';
import { againOfCursor, putOffOnce, troubleSchema, type Again, type Trouble } from '../../promotions/again.js';

/**
 * What an activity answers: its result; a failure that trying again won't mend; or that it wants to be called again after so
 * many milliseconds, and why. How long that is is the activity's to say (../put-off.ts): it may throw dice, this may not.
 */
export type ActivityReply =
  | { done: unknown }
  | { failed: { code: string; message: string; remedy?: string; refused: boolean } }
  /** @param wake the event that ends the wait before its time */
  | { later: number; trouble?: Trouble; wake?: string };

/** A failure, as activities and sub-orchestrations answer it. */
export const failedSchema = z.object({
  failed: z.object({ code: z.string(), message: z.string(), remedy: z.string().optional(), refused: z.boolean() }),
});

const repliesSchema = z.array(
  z.union([
    failedSchema,
    z.object({ later: z.number().min(0), trouble: troubleSchema.optional(), wake: z.string().optional() }),
    z.object({ done: z.unknown() }),
  ]),
);

/** What steps need of their orchestration. */
export interface StepContext {
  df: OrchestrationContext['df'];
  /** Until when the run waits for what may pass, in milliseconds since 1970; a day for each step as it comes. */
  giveUpAtMs?: number;
}

/** The same orchestration, all of whose steps wait until then at most. A sub-orchestration gets it with its input. */
export function waitingUntil(context: StepContext, giveUpAtMs: number): StepContext {
  return { df: context.df, giveUpAtMs };
}

/** A step failed for good. */
export class StepFailed extends Error {
  readonly code: string;
  readonly remedy: string | undefined;
  /** A policy or a verification said no, rather than that something broke. */
  readonly refused: boolean;

  constructor(failure: { code: string; message: string; remedy?: string | undefined; refused: boolean }) {
    super(failure.message);
    this.code = failure.code;
    this.remedy = failure.remedy;
    this.refused = failure.refused;
  }
}

const FIRST_RETRY_MS = 2_000;
const MOST_TRIES = 5;

/** For what the engine does: a worker that dies fails what it was doing at once. What fails by itself answers `later`. */
function retryOptions(): RetryOptions {
  const options = new RetryOptions(FIRST_RETRY_MS, MOST_TRIES);
  options.backoffCoefficient = 2;
  options.maxRetryIntervalInMilliseconds = 60_000;
  return options;
}

type AnyContract = StepContract<z.ZodType, z.ZodType>;

/** How long one step is waited for, where its run doesn't say; in milliseconds. */
const STEP_MS = 24 * 3_600_000;

/** Fan-out of one wave: replaying is quadratic in what one orchestration waits for. */
const WAVE = 10;

/** What Durable says of an activity that failed at every try: `CODE: message` is ours, thrown by the activity wrapper. */
function failureOf(error: unknown): { code: string; message: string } {
  const text = error instanceof Error ? error.message : String(error);
  // A registry's own codes (TOOMANYREQUESTS) have no underscore.
  const match = /\b(?<code>[A-Z][A-Z0-9_-]{2,}): (?<message>[^\n]*)/.exec(text);
  const [line = ''] = text.split('\n', 1);
  return { code: match?.groups?.code ?? 'INTERNAL', message: (match?.groups?.message ?? line).trim().slice(0, 2000) };
}

/** History is a boundary: an older version may have written what is replayed. @throws StepFailed `STEP_RESULT_INVALID` */
export function parsed<S extends z.ZodType>(schema: S, value: unknown, name: string): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new StepFailed({
    code: 'STEP_RESULT_INVALID',
    message: `what ${name} answered is not known to this version`,
    remedy: 'Nothing: the next run begins anew, and all of it with this version.',
    refused: false,
  });
}

/** Calls one step; makes `later` a durable timer. @throws StepFailed */
export function* step<C extends AnyContract>(
  context: StepContext,
  contract: C,
  input: InputOf<C>,
): Generator<Task, ResultOf<C>, unknown> {
  const [result] = yield* stepAll(context, contract, [input]);
  return result as ResultOf<C>;
}

/** Calls a step for several inputs, ten at a time; the results in the inputs' order. @throws StepFailed */
export function* stepAll<C extends AnyContract>(
  context: StepContext,
  contract: C,
  inputs: readonly InputOf<C>[],
): Generator<Task, ResultOf<C>[], unknown> {
  const results = new Map<number, ResultOf<C>>();
  const giveUpAtMs = context.giveUpAtMs ?? nowOf(context) + STEP_MS;
  for (let from = 0; from < inputs.length; from += WAVE) {
    let open: OpenCall<C>[] = inputs
      .slice(from, from + WAVE)
      .map((input, index) => ({ input, index: from + index, again: againOfCursor(input) }));
    while (open.length > 0) {
      const replies = yield* callAll(context, contract, open);
      const now = nowOf(context);
      let pauseMs = 0;
      const wakes: string[] = [];
      const again: typeof open = [];
      for (const [position, reply] of replies.entries()) {
        const call = open[position];
        if (call === undefined) continue;
        if ('failed' in reply) throw new StepFailed(reply.failed);
        if ('later' in reply) {
          const putOff = putOffOnce(call.again, reply.trouble, now, giveUpAtMs);
          if (now >= giveUpAtMs) throw givenUp(contract.name, reply.trouble, putOff, now);
          again.push({ ...call, again: putOff });
          pauseMs = Math.max(pauseMs, reply.later);
          if (reply.wake !== undefined) wakes.push(reply.wake);
        } else results.set(call.index, parsed(contract.result, reply.done, contract.name) as ResultOf<C>);
      }
      open = again;
      // The last try is at the deadline itself.
      if (open.length > 0) yield* pause(context, Math.min(now + pauseMs, giveUpAtMs), wakes);
    }
  }
  return inputs.map((_, index) => results.get(index) as ResultOf<C>);
}

interface OpenCall<C extends AnyContract> {
  input: InputOf<C>;
  index: number;
  again: Again | undefined;
}

function nowOf(context: StepContext): number {
  return context.df.currentUtcDateTime.getTime();
}

/** The one place where a step that was put off is waited for: seconds, or a day. Each wait has events of its own: one that comes late goes to a wait that nobody reads. */
function* pause(context: StepContext, untilMs: number, wakes: readonly string[]): Generator<Task, void, unknown> {
  const timer = context.df.createTimer(new Date(untilMs));
  const events = wakes.map((wake) => context.df.waitForExternalEvent(wake));
  const first = yield context.df.Task.any([timer, ...events]);
  if (first !== timer) timer.cancel();
}

/** The last trouble is what the run ends with. */
function givenUp(name: string, trouble: Trouble | undefined, { tries, since }: Again, now: number): StepFailed {
  const spent = `${name} was tried ${tries} times in ${formatDuration(now - since)}`;
  if (trouble !== undefined) {
    return new StepFailed({ ...trouble, message: `given up: ${spent}: ${trouble.message}`, refused: false });
  }
  return new StepFailed({
    code: 'STEP_BUSY',
    message: `given up: ${spent}, and was put off each time`,
    remedy:
      'See which run holds the same image or destination, or which promotion a job waits for, and ask again when it has ended.',
    refused: false,
  });
}

function withAgain(input: unknown, again: Again): unknown {
  return isRecord(input) ? { ...input, again } : input;
}

function* callAll<C extends AnyContract>(
  context: StepContext,
  contract: C,
  calls: readonly OpenCall<C>[],
): Generator<Task, z.infer<typeof repliesSchema>, unknown> {
  let replies: unknown;
  try {
    const tasks = calls.map(({ input, again }) =>
      context.df.callActivityWithRetry(
        contract.name,
        retryOptions(),
        again === undefined ? input : withAgain(input, again),
      ),
    );
    const [only] = tasks;
    replies = tasks.length === 1 && only !== undefined ? [yield only] : yield context.df.Task.all(tasks);
  } catch (error) {
    const { code, message } = failureOf(error);
    throw new StepFailed({ code, message, refused: false });
  }
  return parsed(repliesSchema, replies, contract.name);
}
