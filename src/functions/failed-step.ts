import { PolicyError, PromoterError, VerificationError, describeError } from '../oci/index.js';
import { incrementPromotionsContract, runOperationContract } from '../operations/contracts.js';
import { lastsTooLong, passing, troublePauseMs, type Attempt, type Passing } from '../promotions/backoff.js';
import { remedyFor } from '../promotions/remedies.js';
import { noteUnanswered } from '../promotions/unanswered-registries.js';
import { unansweredOf, unansweredText } from '../promotions/unanswered.js';
import type { RunRow } from '../rows/run-row.js';
import { formatDuration } from '../rules/duration.js';
import type { StaticPorts } from './activities.js';
import type { ActivityReply } from './durable-driver.js';
import type { StepLog, StepProgressRow } from './step-reporting.js';

/** Maximum characters of an error's message in the history. The rest is cut off. */
const MESSAGE_CHARACTERS = 2_000;

/** Steps whose input names what the sender of a job asked for. */
const ASKED: ReadonlySet<string> = new Set([runOperationContract.name, incrementPromotionsContract.name]);

interface Failing {
  ports: StaticPorts;
  /** The run's row, if the step has read it. */
  run: RunRow | undefined;
  name: string;
  attempt: Attempt | undefined;
  now: number;
  progress: StepProgressRow;
  log: StepLog;
}

/**
 * Turns an error into a reply. A transient error is retried later. A permanent error is the step's result. Only an
 * unexpected error is thrown; the engine retries it at once, as it does if a worker dies.
 */
export async function failedStep(error: unknown, failing: Failing): Promise<ActivityReply> {
  const { name, attempt, now, progress, log } = failing;
  const passes = passing(error, name, ASKED.has(name));
  if (passes !== undefined && !lastsTooLong(passes, attempt, now)) return backOff(error, passes, failing);
  const { code, message: whole, remedy: advice } = describeError(error);
  const remedy = remedyFor(code, advice);
  const message = whole.slice(0, MESSAGE_CHARACTERS);
  await progress.fail(`${code}: ${message}`);
  if (passes === undefined && !(error instanceof PromoterError)) {
    // The stack of a bug goes to the log; only its code and message go into the history.
    log.warn(error instanceof Error ? (error.stack ?? message) : `${code}: ${message}`);
    throw new Error(`${code}: ${message}`);
  }
  log.warn(`failed: ${code}: ${message}`);
  const refused = error instanceof PolicyError || error instanceof VerificationError;
  const spent =
    passes === undefined || attempt === undefined ? '' : `, for ${formatDuration(now - attempt.codeSinceMs)}`;
  return { failed: { code, message: `${message}${spent}`, refused, remedy } };
}

/** Backs off, and writes to the step's progress row which error it waits for. */
async function backOff(error: unknown, passes: Passing, failing: Failing): Promise<ActivityReply> {
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
  // This note is only shown to people, so a failed write must not fail the step.
  if (unanswered !== undefined && !isLast) {
    try {
      await noteUnanswered(ports, unanswered, waitsFor);
    } catch {
      log.warn('could not store, for status and explain, that a registry does not answer');
    }
  }
  return { retryAfterMs, trouble: { code, message, remedy } };
}
