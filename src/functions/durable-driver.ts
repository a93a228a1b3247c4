import { RetryOptions, type OrchestrationContext, type Task } from 'durable-functions';
import { z } from 'zod';
import { isRecord, ConfigurationError } from '../oci/index.js';
import { formatDuration } from '../rules/duration.js';
import { attemptOnce, attemptSchema, troubleSchema, type Attempt, type Trouble } from '../promotions/backoff.js';
import type { AnyContract } from '../rows/step-contract.js';
import { StepFailed, unreadableResult, type Effect, type Order } from '../rows/order.js';
import { runJob } from '../operations/run-job.js';
import { promote } from '../promotions/promote.js';
import { JOB_MS } from '../rows/job-instance.js';
import { ORCHESTRATION_VERSION } from '../promotions/orchestration-version.js';

const callSchema = z.object({
  /** The run of the step. Steps of the schedule have none. */
  runId: z.string().optional(),
  /** Distinguishes steps of one name. */
  label: z.string().optional(),
  /** Added by the driver to the input of a long step: when it was first called, in epoch milliseconds. */
  startedMs: z.number().optional(),
  /** Added by the driver if the step is called again. */
  attempt: attemptSchema.optional().catch(undefined),
});
/** What an activity reads of its input, whatever the step: the driver's part, and the names that progress shows. */
export type ActivityCall = z.infer<typeof callSchema>;

/** Reads what all steps have in common. Input of another version counts as empty; the step then refuses it. */
export function callOf(raw: unknown): ActivityCall {
  return callSchema.safeParse(raw).data ?? {};
}

const replySchema = z.union([
  z.object({
    failed: z.object({ code: z.string(), message: z.string(), remedy: z.string().optional(), refused: z.boolean() }),
  }),
  z.object({
    /**
     * The step asks to be called again after this pause, or with 0 at once. The activity decides the pause, because an
     * orchestrator must not use randomness.
     */
    retryAfterMs: z.number().min(0),
    /** The error that is waited out; absent if the step waits for something else. */
    trouble: troubleSchema.optional(),
    /** The event that ends the wait early. */
    event: z.string().optional(),
  }),
  z.object({ done: z.unknown() }),
]);
/** The reply of an activity. It throws only for bugs and dead workers. */
export type ActivityReply = z.infer<typeof replySchema>;

/** Maximum calls of a long step in a row. `STEP_TOO_LONG` */
const MOST_CALLS = 500;
/** Tries of an activity that throws or whose worker dies, and the pauses between them. */
const MOST_TRIES = 5;
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;

function retryOptions(): RetryOptions {
  const options = new RetryOptions(FIRST_RETRY_MS, MOST_TRIES);
  options.backoffCoefficient = 2;
  options.maxRetryIntervalInMilliseconds = LONGEST_RETRY_MS;
  return options;
}

/**
 * Runs an order as an orchestration: steps are activities, and waits are durable timers and events. Counts attempts and
 * stops at the deadline.
 * @param deadlineMs until when transient errors are retried, in epoch milliseconds
 */
function* driveDurably<T>(
  context: OrchestrationContext,
  order: Order<T>,
  deadlineMs: number,
): Generator<Task, T, unknown> {
  let next = order.next();
  while (next.done !== true) {
    let answer: unknown;
    try {
      answer = yield* perform(context, next.value, deadlineMs);
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      next = order.throw(error);
      continue;
    }
    next = order.next(answer);
  }
  return next.value;
}

function* perform(
  context: OrchestrationContext,
  effect: Effect,
  deadlineMs: number,
): Generator<Task, unknown, unknown> {
  switch (effect.kind) {
    case 'now':
      return nowOf(context);
    case 'wait':
      return yield* pause(context, nowOf(context) + effect.forMs, [effect.event]);
    case 'call':
      return yield* untilDone(context, effect.step, effect.input, Math.max(deadlineMs, effect.untilMs ?? 0));
  }
}

function nowOf(context: OrchestrationContext): number {
  return context.df.currentUtcDateTime.getTime();
}

/** Calls a step until it is done. @throws StepFailed */
function* untilDone(
  context: OrchestrationContext,
  step: AnyContract,
  input: object,
  untilMs: number,
): Generator<Task, unknown, unknown> {
  // The time of the first call, so that all calls of a long step are shown as one.
  const whole = step.isLong ? { ...input, startedMs: nowOf(context) } : input;
  let attempt: Attempt | undefined;
  for (let inARow = 1; ;) {
    const given = attempt === undefined ? whole : { ...whole, attempt: { ...attempt, nowMs: nowOf(context) } };
    const reply = yield* callOnce(context, step, given);
    if ('failed' in reply) throw new StepFailed(reply.failed);
    if ('done' in reply) return reply.done;
    const { retryAfterMs, trouble, event } = reply;
    if (retryAfterMs === 0) {
      if (inARow >= MOST_CALLS) throw tooLong(step, inARow);
      inARow += 1;
      // The wait has ended, unless the step reports the same error again.
      if (trouble === undefined || trouble.code !== attempt?.code) attempt = undefined;
      continue;
    }
    const at = nowOf(context);
    const next = attemptOnce(attempt, trouble, at, untilMs);
    if (at >= untilMs) throw givenUp(step.name, trouble, next, at);
    attempt = next;
    // The last try is at the deadline.
    yield* pause(context, Math.min(at + retryAfterMs, untilMs), event === undefined ? [] : [event]);
  }
}

function* callOnce(
  context: OrchestrationContext,
  { name }: AnyContract,
  input: object,
): Generator<Task, ActivityReply, unknown> {
  let raw: unknown;
  try {
    raw = yield context.df.callActivityWithRetry(name, retryOptions(), input);
  } catch (error) {
    const failure = failureOf(error);
    // A worker died at every try. The orchestration fails, and the schedule ends its run as interrupted.
    if (failure === undefined) throw error;
    throw new StepFailed({ ...failure, refused: false });
  }
  const reply = replySchema.safeParse(raw);
  if (reply.success) return reply.data;
  throw unreadableResult({ name });
}

/**
 * The error of an activity that failed at every try. The activity wrapper throws `CODE: message` for a bug in this app.
 * @returns undefined for any other error: a worker died, or an invocation reached its time limit
 */
function failureOf(error: unknown): { code: string; message: string } | undefined {
  const text = error instanceof Error ? error.message : String(error);
  const { code, message } = /\b(?<code>[A-Z][A-Z0-9_-]{2,}): (?<message>[^\n]*)/.exec(text)?.groups ?? {};
  if (code === undefined || message === undefined) return undefined;
  return { code, message: message.trim().slice(0, 2000) };
}

/**
 * Waits until a time or one of the events. Each wait has its own event names, so an event that comes late ends no
 * later wait.
 */
function* pause(
  context: OrchestrationContext,
  untilMs: number,
  events: readonly string[],
): Generator<Task, void, unknown> {
  const timer = context.df.createTimer(new Date(untilMs));
  const first = yield context.df.Task.any([timer, ...events.map((event) => context.df.waitForExternalEvent(event))]);
  if (first !== timer) timer.cancel();
}

function tooLong({ name }: AnyContract, calls: number): StepFailed {
  return new StepFailed({
    code: 'STEP_TOO_LONG',
    message: `${name} has not ended in ${calls} calls`,
    remedy:
      'Start the run again: copied content stays. Check how fast the two registries are, and whether the graph keeps growing.',
    refused: false,
  });
}

/** The run ends with the last error. */
function givenUp(name: string, trouble: Trouble | undefined, { count, sinceMs }: Attempt, now: number): StepFailed {
  const spent = `${name} was tried ${count} times in ${formatDuration(now - sinceMs)}`;
  if (trouble !== undefined) {
    return new StepFailed({ ...trouble, message: `given up: ${spent}: ${trouble.message}`, refused: false });
  }
  return new StepFailed({
    code: 'STEP_BUSY',
    message: `given up: ${spent}, and found a lease held each time`,
    remedy:
      'Find the run that uses the same image or destination, or the promotion that a job waits for. When it has ended, start this one again.',
    refused: false,
  });
}

/** Reads the deadline from the input of an orchestration. */
function deadlineOf(context: OrchestrationContext, defaultMs: number): number {
  const input = context.df.getInput();
  const forMs = isRecord(input) && typeof input.deadlineMs === 'number' ? input.deadlineMs : defaultMs;
  return nowOf(context) + forMs;
}

/** The deadline of a promotion's run if its input has none, in milliseconds. */
const DEADLINE_MS = 24 * 3_600_000;

const runKeySchema = z.object({ promotionId: z.string(), runId: z.string() });
const runSchema = z.object({ runId: z.string() });

/** A promotion's run as an orchestration. Its input has the two ids and the rule's deadline in milliseconds. */
export function* promoteDurably(context: OrchestrationContext): Generator<Task, unknown, unknown> {
  const key = runKeySchema.parse(context.df.getInput());
  return yield* driveDurably(context, promote(key), deadlineOf(context, DEADLINE_MS));
}

/** A job's run as an orchestration. */
export function* runJobDurably(context: OrchestrationContext): Generator<Task, unknown, unknown> {
  const run = runSchema.parse(context.df.getInput());
  return yield* driveDurably(context, runJob(run), deadlineOf(context, JOB_MS));
}

type Orchestrator = (context: OrchestrationContext) => Generator<Task, unknown, unknown>;

/**
 * An orchestration whose instances continue with the version of the code that started them. An instance of an unknown
 * version (removed, or newer after a rollback) fails at once. The next tick finds its open row and opens the next run.
 * @param kept earlier versions of which instances may still exist
 * @throws ConfigurationError `ORCHESTRATION_VERSION_UNKNOWN`
 */
export function versioned(current: Orchestrator, kept: Readonly<Record<string, Orchestrator>> = {}): Orchestrator {
  return function* (context) {
    const input = context.df.getInput();
    const version = isRecord(input) ? String(input.version) : 'none';
    const orchestrator = version === `${ORCHESTRATION_VERSION}` ? current : kept[version];
    if (orchestrator === undefined) {
      throw new ConfigurationError(
        'ORCHESTRATION_VERSION_UNKNOWN',
        `the orchestration has version ${version}; the app runs version ${ORCHESTRATION_VERSION} and keeps ${Object.keys(kept).join(', ') || 'no other'}`,
        {
          remedy: 'No action needed for a promotion: the next run does all steps. Send a job again, under another id.',
        },
      );
    }
    return yield* orchestrator(context);
  };
}
