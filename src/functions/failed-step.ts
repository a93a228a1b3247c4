import {
  CopyError,
  PolicyError,
  PromoterError,
  RegistryError,
  VerificationError,
  describeError,
  formatReference,
  isRecord,
} from '../oci/index.js';
import { incrementPromotionsContract, runOperationContract } from '../operations/contracts.js';
import type { Ports } from '../ports/ports.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import type { StorePort } from '../ports/store.js';
import { isOverdue, passing, troublePauseMs, type Attempt, type Passing } from '../promotions/backoff.js';
import { remedyFor } from '../promotions/remedies.js';
import { noteUnanswered } from '../promotions/unanswered-registries.js';
import { unansweredOf, unansweredText } from '../promotions/unanswered.js';
import { lateTag } from '../rows/news.js';
import type { RunRow } from '../rows/run-row.js';
import { formatDuration } from '../rules/duration.js';
import { MissingAtSource, missingTag } from '../transfer/registry-access.js';
import { resolveTag } from '../transfer/tag.js';
import type { StaticPorts } from './activities.js';
import type { ActivityReply } from './durable-driver.js';
import type { StepLog, StepProgressRow } from './step-reporting.js';

/** The time limit for reading the tag of a run whose source is missing, in milliseconds. */
const LOOK_MS = 60_000;
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
  if (passes !== undefined && !isOverdue(passes, attempt, now)) return backOff(error, passes, failing);
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

/** The error to report: `SOURCE_GONE` or `SUPERSEDED` if a promotion's source is missing, otherwise the same error. */
export async function understood(ports: StaticPorts, raw: unknown, error: unknown): Promise<unknown> {
  const runId = isRecord(raw) && typeof raw.runId === 'string' ? raw.runId : undefined;
  try {
    return await asSourceGone(ports, runId, error, AbortSignal.timeout(LOOK_MS));
  } catch (other) {
    return other;
  }
}

function isMissingAtSource(error: unknown): error is PromoterError {
  if (error instanceof MissingAtSource) return true;
  if (!(error instanceof CopyError) || error.details.side !== 'source') return false;
  return error.cause instanceof RegistryError && error.cause.notFound;
}

/**
 * Replaces the error of a promotion's step in two cases. If its source is missing, in whole or in part, the error is
 * `SOURCE_GONE`, which is retried because a replica may be stale. If the tag has another digest now, it is
 * `SUPERSEDED`. Other errors, and errors of jobs, are returned unchanged.
 */
async function asSourceGone(
  ports: Pick<Ports, 'registries' | 'now'> & StorePort<Runs & Promotions>,
  runId: string | undefined,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (runId === undefined || !isMissingAtSource(error)) return error;
  if (error instanceof MissingAtSource && error.isReported) return error;
  const run = (await ports.store.getRun(runId))?.value;
  if (run?.input.kind !== 'promotion') return error instanceof MissingAtSource ? (error.cause ?? error) : error;
  const { source } = run.input;
  const current = await resolveTag(ports, source, signal);
  const row = (await ports.store.getPromotion(run.input.promotionId))?.value;
  const isLate = current !== undefined && row !== undefined && lateTag(row, current.digest, ports.now()) !== undefined;
  if (current !== undefined && run.digest !== undefined && current.digest !== run.digest && !isLate) {
    return new PromoterError('SUPERSEDED', `${formatReference(source)} has the digest ${current.digest} now`, {
      remedy: 'No action needed: the next run promotes the digest that the tag has now.',
    });
  }
  return current === undefined ? missingTag(source) : new MissingAtSource(error.message, error);
}
