import { z } from 'zod';
import { PromoterError, RegistryError, TransportError, describeError } from '../oci/index.js';
import { MissingAtSource } from '../transfer/registry-access.js';
import { BROKEN_RULES } from '../ports/rules-source.js';

/** Why a step is to be called again, if that is trouble and not only its turn that it waits for. */
export const troubleSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() });
export type Trouble = z.infer<typeof troubleSchema>;

/** The field `attempt` in the input of a step that is called again. Times are milliseconds since 1970. */
export const attemptSchema = z.object({
  /** Calls so far. */
  count: z.number(),
  /** When it backed off first. */
  sinceMs: z.number(),
  /** The code of the last trouble, and when it came first without another in between. */
  code: z.string().optional(),
  codeSinceMs: z.number(),
  /** When the run gives up. */
  untilMs: z.number(),
  /** When it is called, by the same clock as the others: that of the host that works may be an hour off. */
  nowMs: z.number().optional(),
});
export type Attempt = z.infer<typeof attemptSchema>;

/** One more backoff. */
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
    ...(trouble !== undefined && { code: trouble.code }),
    codeSinceMs: isSame ? before.codeSinceMs : nowMs,
    untilMs,
  };
}

/**
 * How long what may pass is waited for. The client has already tried for some seconds; from here on each further try is an
 * activity after a durable timer, so that pauses grow with the time that has gone by: an hour is a dozen tries, a day a hundred.
 */
export const BACKOFF = {
  /** The first pause after trouble, in milliseconds; doubled each time, and cut by up to a quarter at random. */
  firstMs: 2_000,
  /** The longest pause in the first three quarters of an hour; later an eighth of what has been waited. */
  capMs: 5 * 60_000,
  /** The same for a lease, or another run, that is waited for. */
  busyCapMs: 60_000,
  busyGrowth: 1.3,
  /** The longest pause of all, in milliseconds. */
  longestMs: 15 * 60_000,
  /** The longest Retry-After that is kept to, in milliseconds. */
  retryAfterMs: 24 * 3_600_000,
  /**
   * How long a registry may not know what has just been pushed, a name server a host, or a vault a new role; then it counts as not
   * there.
   */
  unknownMs: 15 * 60_000,
  /** How long a destination may not show what was attached and has arrived; all of it was listed just before. `EVIDENCE_LOST` */
  evidenceMs: 10_000,
} as const;

/** What is asked for again though the answer was no: a replica may lag behind a push. */
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

/** A new role takes up to ten minutes to count. */
const ROLE_MISSING = new Set(['KEY_VAULT_DENIED']);

/** The same, and what a copy goes on without in the end. */
const MAY_BE_LATE = new Set([...UNKNOWN, 'REFERRER_UNKNOWN', 'TAG_LATE']);

/**
 * True if what a long step waits for is waited for by its next call as well: all has to be asked for once more until it is known
 * whether it is there. A registry that was down is up when a call has ended in good order.
 */
export function outlastsCall({ code }: Attempt): boolean {
  return code !== undefined && MAY_BE_LATE.has(code);
}

export interface Passing {
  trouble: Trouble;
  retryAfterMs?: number;
  /** From when on it counts as there for good; the run's deadline by default. In milliseconds from its first time. */
  deadlineMs?: number;
}

/**
 * What may pass without anybody doing anything; undefined: it won't.
 * @param asked true where what was asked for was named by whoever sent a job: then what isn't there isn't waited for.
 */
export function passing(error: unknown, name: string, asked: boolean): Passing | undefined {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    const remedy =
      'It goes on where it was; if it stays, look at what its registries or the storage account do so slowly.';
    return { trouble: { code: 'STEP_TIMEOUT', message: `${name} did not end in time`, remedy } };
  }
  if (!(error instanceof PromoterError)) return undefined;
  const { code, message, remedy, transient } = describeError(error);
  const trouble = { code, message, ...(remedy !== undefined && { remedy }) };
  const causes = [...causesOf(error)];
  const answer = causes.find((cause) => cause instanceof RegistryError);
  if (transient) {
    const retryAfterMs = causes.find((cause) => cause.retryAfterMs !== undefined)?.retryAfterMs;
    const nameless = causes.some((cause) => cause instanceof TransportError && isNameless(cause));
    return {
      trouble,
      ...(retryAfterMs !== undefined && { retryAfterMs: Math.min(retryAfterMs, BACKOFF.retryAfterMs) }),
      ...((nameless || ROLE_MISSING.has(code)) && { deadlineMs: BACKOFF.unknownMs }),
    };
  }
  if (BROKEN_RULES.has(code)) return { trouble };
  if (code === 'EVIDENCE_LOST') return { trouble, deadlineMs: BACKOFF.evidenceMs };
  const isReported = error instanceof MissingAtSource && error.isReported;
  if (isReported) return undefined;
  const unknown = UNKNOWN.has(code) || (answer !== undefined && isUnknown(answer));
  return unknown && !asked ? { trouble, deadlineMs: BACKOFF.unknownMs } : undefined;
}

/** A copy's error has the registry's as its cause. */
export function* causesOf(error: unknown): Generator<PromoterError> {
  for (let [cause, depth] = [error, 0]; cause instanceof PromoterError && depth < 10; depth += 1) {
    yield cause;
    ({ cause } = cause);
  }
}

/** A repository that can't be read yet; one that can't be written to is not there, and may not be made. */
function isUnknown({ info: { status, method } }: RegistryError): boolean {
  return status === 404 && (method === 'GET' || method === 'HEAD');
}

/** The name server says that there is no such host: a slip, or a zone that is being set up. */
function isNameless({ details: { causes } }: TransportError): boolean {
  return Array.isArray(causes) && causes.includes('ENOTFOUND');
}

/**
 * The pause before the next call, in milliseconds: as long as it was asked for, and no shorter than it would be unasked. A registry
 * that says `Retry-After: 1` all day would otherwise be asked all day, and each time is history.
 */
export function troublePauseMs({ retryAfterMs = 0 }: Passing, attempt: Attempt | undefined, now: number): number {
  // On top, never below: all who were told the same time would otherwise come back as one.
  const asked = retryAfterMs + Math.random() * Math.min(30_000, retryAfterMs / 10);
  const doubled = BACKOFF.firstMs * 2 ** Math.min(attempt?.count ?? 0, 20);
  const grown = capped(doubled, BACKOFF.capMs, attempt, now) * (0.75 + Math.random() / 4);
  return Math.ceil(Math.max(asked, grown));
}

/** The same where nothing is wrong, and a step only has to wait its turn. */
export function busyPauseMs(laterMs: number, attempt: Attempt | undefined, now: number): number {
  const grown = laterMs * BACKOFF.busyGrowth ** Math.min(attempt?.count ?? 0, 60);
  return Math.ceil(capped(grown, Math.max(laterMs, BACKOFF.busyCapMs), attempt, now));
}

function capped(ms: number, capMs: number, attempt: Attempt | undefined, now: number): number {
  const waitedMs = attempt === undefined ? 0 : now - attempt.sinceMs;
  return Math.min(ms, Math.max(capMs, Math.min(waitedMs / 8, BACKOFF.longestMs)));
}

/** Whether trouble of this kind has been there for longer than it may last: it is taken for what it says. */
export function isOverdue({ trouble, deadlineMs }: Passing, attempt: Attempt | undefined, now: number): boolean {
  if (deadlineMs === undefined || attempt === undefined || attempt.code !== trouble.code) return false;
  return now - attempt.codeSinceMs >= deadlineMs;
}
