import { RetryOptions, type OrchestrationContext, type Task } from 'durable-functions';
import { z } from 'zod';
import type { InputOf, ResultOf, StepContract } from '../../steps/contracts.js';

/** What an activity answers: its result; a failure that trying again won't mend; or that it wants to be called again later. */
export type ActivityReply =
  | { done: unknown }
  | { failed: { code: string; message: string; remedy?: string; refused: boolean } }
  | { later: number };

const repliesSchema = z.array(
  z.union([
    z.object({
      failed: z.object({ code: z.string(), message: z.string(), remedy: z.string().optional(), refused: z.boolean() }),
    }),
    z.object({ later: z.number().min(0) }),
    z.object({ done: z.unknown() }),
  ]),
);

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

/** Every activity is retried: a worker that dies fails what it was doing at once. */
function retryOptions(): RetryOptions {
  const options = new RetryOptions(FIRST_RETRY_MS, MOST_TRIES);
  options.backoffCoefficient = 2;
  options.maxRetryIntervalInMilliseconds = 60_000;
  return options;
}

type AnyContract = StepContract<z.ZodType, z.ZodType>;

/** How often a step may ask to be called again, and the longest pause between two calls. */
const MOST_LATER = 200;
const LONGEST_LATER_MS = 60_000;
const LATER_GROWTH = 1.3;

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
function parsed<S extends z.ZodType>(schema: S, value: unknown, name: string): z.infer<S> {
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
  context: OrchestrationContext,
  contract: C,
  input: InputOf<C>,
): Generator<Task, ResultOf<C>, unknown> {
  const [result] = yield* stepAll(context, contract, [input]);
  return result as ResultOf<C>;
}

/** Calls a step for several inputs, ten at a time; the results in the inputs' order. @throws StepFailed */
export function* stepAll<C extends AnyContract>(
  context: OrchestrationContext,
  contract: C,
  inputs: readonly InputOf<C>[],
): Generator<Task, ResultOf<C>[], unknown> {
  const results = new Map<number, ResultOf<C>>();
  for (let from = 0; from < inputs.length; from += WAVE) {
    let open = inputs.slice(from, from + WAVE).map((input, index) => ({ input, index: from + index }));
    for (let calls = 0; open.length > 0; calls += 1) {
      if (calls > MOST_LATER) {
        throw new StepFailed({
          code: 'STEP_BUSY',
          message: `${contract.name} was put off too often`,
          remedy: 'See which run holds the same image or destination, and ask again when it has ended.',
          refused: false,
        });
      }
      const replies = yield* callAll(
        context,
        contract,
        open.map(({ input }) => input),
      );
      let pauseMs = 0;
      const again: typeof open = [];
      for (const [position, reply] of replies.entries()) {
        const call = open[position];
        if (call === undefined) continue;
        if ('failed' in reply) throw new StepFailed(reply.failed);
        if ('later' in reply) {
          again.push(call);
          pauseMs = Math.max(pauseMs, reply.later);
        } else results.set(call.index, parsed(contract.result, reply.done, contract.name) as ResultOf<C>);
      }
      open = again;
      if (open.length > 0) {
        const pause = Math.min(pauseMs * LATER_GROWTH ** calls, LONGEST_LATER_MS);
        yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + pause));
      }
    }
  }
  return inputs.map((_, index) => results.get(index) as ResultOf<C>);
}

function* callAll<C extends AnyContract>(
  context: OrchestrationContext,
  contract: C,
  inputs: readonly InputOf<C>[],
): Generator<Task, z.infer<typeof repliesSchema>, unknown> {
  let replies: unknown;
  try {
    const tasks = inputs.map((input) => context.df.callActivityWithRetry(contract.name, retryOptions(), input));
    const [only] = tasks;
    replies = tasks.length === 1 && only !== undefined ? [yield only] : yield context.df.Task.all(tasks);
  } catch (error) {
    const { code, message } = failureOf(error);
    throw new StepFailed({ code, message, refused: false });
  }
  return parsed(repliesSchema, replies, contract.name);
}
