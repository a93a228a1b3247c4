import { z } from 'zod';
import { PromoterError, RegistryError, TransportError, describeError } from '../oci/index.js';
import { MissingAtSource } from '../transfer/registry-access.js';
import { BROKEN_RULES } from '../ports/rules-source.js';
import { LAYER_TOO_SLOW } from '../sbom/index.js';

/** The error for which a step is called again. Absent if the step only waits for a lease, a permit or another run. */
export const troubleSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() });
export type Trouble = z.infer<typeof troubleSchema>;

/** The field `attempt` in the input of a step that is called again. Times are epoch milliseconds. */
export const attemptSchema = z.object({
  /** Calls so far. */
  count: z.number(),
  /** When the step first backed off. */
  sinceMs: z.number(),
  /** The code of the last error, and since when this error comes without another one in between. */
  code: z.string().optional(),
  codeSinceMs: z.number(),
  /** When the run gives up. */
  untilMs: z.number(),
  /** When the step is called, by the clock of the other times. The clock of the worker may differ by an hour. */
  nowMs: z.number().optional(),
});
export type Attempt = z.infer<typeof attemptSchema>;

/** The attempt after one more backoff. */
export function attemptOnce(
  before: Attempt | undefined,
  trouble: Trouble | undefined,
  nowMs: number,
  untilMs: number,
): Attempt {
  const isSame = before !== undefined && before.code === trouble?.code;
  return {
    count: (before?.count ?? 0) + 1,
    sinceMs: before?.sinceMs ?? nowMs,
    code: trouble?.code,
    codeSinceMs: isSame ? before.codeSinceMs : nowMs,
    untilMs,
  };
}

/**
 * How long transient errors are retried. The client has already retried for some seconds; each further try is an
 * activity after a durable timer. Pauses grow with the time that has passed: an hour has about a dozen tries, a day a
 * hundred.
 */
export const BACKOFF = {
  /** The first pause after an error, in milliseconds. It doubles each time; up to a quarter is cut off at random. */
  firstMs: 2_000,
  /** The longest pause in the first three quarters of an hour; after that, an eighth of the time waited so far. */
  capMs: 5 * 60_000,
  /**
   * The longest pause of a step that waits for a lease or another run, in milliseconds, in the first three quarters of
   * an hour.
   */
  busyCapMs: 60_000,
  busyGrowth: 1.3,
  /** The longest pause, in milliseconds. */
  longestMs: 15 * 60_000,
  /** The longest Retry-After that is followed, in milliseconds. */
  retryAfterMs: 24 * 3_600_000,
  /**
   * How long a registry may not know a new push, a name server a new host, or a vault a new role, in milliseconds.
   * After that it counts as missing.
   */
  unknownMs: 15 * 60_000,
  /** How long a repository may not show the attachments of the run, in milliseconds. `EVIDENCE_LOST` */
  evidenceMs: 10_000,
  /**
   * How long `LAYER_TOO_SLOW` is retried, in milliseconds from the end of the first reading. A reading takes nine
   * minutes, so there are three.
   */
  slowLayerMs: 15 * 60_000,
} as const;

/** Codes that are retried although they are final answers: a replica may not have a new push yet. */
const UNKNOWN = new Set([
  'SOURCE_GONE',
  'MANIFEST_UNKNOWN',
  'MANIFEST_BLOB_UNKNOWN',
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_UNKNOWN',
  'MANIFEST_LOST',
  'REFERRER_LOST',
  'TAG_LOST',
]);

/** A new role takes up to ten minutes to become active. */
const ROLE_MISSING = new Set(['KEY_VAULT_DENIED']);

/** The same codes, and the codes of what a copy leaves out after a while. */
const MAY_BE_LATE = new Set([...UNKNOWN, 'REFERRER_UNKNOWN', 'TAG_LATE']);

/**
 * True if the next call of a long step may still wait for the same: whether something exists is only known after all
 * requests are sent again. False for a registry that was down: if a call ended normally, it is up.
 */
export function outlastsCall({ code }: Attempt): boolean {
  return code !== undefined && MAY_BE_LATE.has(code);
}

export interface Passing {
  trouble: Trouble;
  retryAfterMs?: number | undefined;
  /**
   * When waiting ends and the error counts as final, in milliseconds from its first time. Default: the run's deadline.
   */
  deadlineMs?: number;
}

/**
 * Classifies an error that may pass without any action.
 * @param asked true if the sender of a job named the tag or manifest; then the step does not wait for a missing one
 * @returns undefined if the error will not pass
 */
export function passing(error: unknown, name: string, asked: boolean): Passing | undefined {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    const remedy =
      'The step retries and continues. If the error stays, check why the registries or the storage account are slow.';
    return { trouble: { code: 'STEP_TIMEOUT', message: `${name} did not end in time`, remedy } };
  }
  if (!(error instanceof PromoterError)) return undefined;
  const { code, message, remedy, transient } = describeError(error);
  const trouble = { code, message, remedy };
  const causes = [...causesOf(error)];
  const answer = causes.find((cause) => cause instanceof RegistryError);
  if (transient) {
    const retryAfterMs = causes.find((cause) => cause.retryAfterMs !== undefined)?.retryAfterMs;
    const nameless = causes.some((cause) => cause instanceof TransportError && isNameless(cause));
    return {
      trouble,
      retryAfterMs: retryAfterMs && Math.min(retryAfterMs, BACKOFF.retryAfterMs),
      ...((nameless || ROLE_MISSING.has(code)) && { deadlineMs: BACKOFF.unknownMs }),
      ...(code === LAYER_TOO_SLOW && { deadlineMs: BACKOFF.slowLayerMs }),
    };
  }
  if (BROKEN_RULES.has(code)) return { trouble };
  if (code === 'EVIDENCE_LOST') return { trouble, deadlineMs: BACKOFF.evidenceMs };
  const isReported = error instanceof MissingAtSource && error.isReported;
  if (isReported) return undefined;
  const unknown = UNKNOWN.has(code) || (answer !== undefined && isUnknown(answer));
  return unknown && !asked ? { trouble, deadlineMs: BACKOFF.unknownMs } : undefined;
}

/** The error and its causes: the error of a copy has the registry's error as its cause. */
export function* causesOf(error: unknown): Generator<PromoterError> {
  for (let [cause, depth] = [error, 0]; cause instanceof PromoterError && depth < 10; depth += 1) {
    yield cause;
    ({ cause } = cause);
  }
}

/**
 * A read that answers 404: the repository may not be visible yet. A write that answers 404 is not waited for: the
 * repository does not exist and may not be created.
 */
function isUnknown({ info: { status, method } }: RegistryError): boolean {
  return status === 404 && (method === 'GET' || method === 'HEAD');
}

/** The name server knows no such host: a typing error, or a zone that is being set up. */
function isNameless({ details: { causes } }: TransportError): boolean {
  return Array.isArray(causes) && causes.includes('ENOTFOUND');
}

/**
 * The pause before the next call, in milliseconds: the requested one, but at least the growing one. With only the
 * requested one, a registry that always answers `Retry-After: 1` would be asked all day and fill the history.
 */
export function troublePauseMs({ retryAfterMs = 0 }: Passing, attempt: Attempt | undefined, now: number): number {
  // Add up to 10%, so that callers who were given the same time do not return all at once.
  const asked = retryAfterMs + Math.random() * Math.min(30_000, retryAfterMs / 10);
  const doubled = BACKOFF.firstMs * 2 ** Math.min(attempt?.count ?? 0, 20);
  const grown = capped(doubled, BACKOFF.capMs, attempt, now) * (0.75 + Math.random() / 4);
  return Math.ceil(Math.max(asked, grown));
}

/** The pause of a step that waits for a lease, a permit or another run, without an error. */
export function busyPauseMs(laterMs: number, attempt: Attempt | undefined, now: number): number {
  const grown = laterMs * BACKOFF.busyGrowth ** Math.min(attempt?.count ?? 0, 60);
  return Math.ceil(capped(grown, Math.max(laterMs, BACKOFF.busyCapMs), attempt, now));
}

function capped(ms: number, capMs: number, attempt: Attempt | undefined, now: number): number {
  const waitedMs = attempt === undefined ? 0 : now - attempt.sinceMs;
  return Math.min(ms, Math.max(capMs, Math.min(waitedMs / 8, BACKOFF.longestMs)));
}

/** True if this error has lasted longer than it may. It then counts as final. */
export function lastsTooLong({ trouble, deadlineMs }: Passing, attempt: Attempt | undefined, now: number): boolean {
  if (deadlineMs === undefined || attempt === undefined || attempt.code !== trouble.code) return false;
  return now - attempt.codeSinceMs >= deadlineMs;
}
