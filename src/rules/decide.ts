/** The fields of a promotion's row that the schedule needs for its decision. */
export interface PromotionFacts {
  runOpen: boolean;
  failures: number;
  /** When the schedule retries a failed promotion. */
  retryAt?: string | undefined;
  /** What last passed the evidence gate. */
  gate?: { digest: string; fingerprint: string } | undefined;
  last?:
    | {
        outcome: string;
        code?: string | undefined;
        digest?: string | undefined;
        fingerprint: string;
        finishedAt: string;
      }
    | undefined;
}

/** The pause after the first failure. It doubles with each further one, up to a day. */
const FAILURE_PAUSE_MS = 5 * 60_000;
const LONGEST_PAUSE_MS = 24 * 3_600_000;

/** The pause before a failed promotion is retried, by the number of failures in a row. Milliseconds. */
export function failurePauseMs(failures: number): number {
  return Math.min(FAILURE_PAUSE_MS * 2 ** Math.max(failures - 1, 0), LONGEST_PAUSE_MS);
}

/**
 * Decides what the schedule does with a tag: `increment` starts a run, `leave` does nothing, `compare` compares the
 * destination's digest first, and `run again` starts a run because the rule was edited. A final outcome stays valid as
 * long as digest and fingerprint are the same.
 */
export function decideTag(seen: {
  digest: string;
  fingerprint: string;
  now: Date;
  row?: PromotionFacts | undefined;
  /** True if the rule demands evidence. */
  isGated?: boolean;
  /** When the tag was last written, if the registry gives that. RFC 3339. */
  updatedAt?: string | undefined;
}): 'increment' | 'leave' | 'compare' | 'run again' {
  const { row } = seen;
  if (row === undefined) return 'increment';
  if (row.runOpen) return 'leave';
  const { last } = row;
  if (last === undefined) return 'increment';
  // A run that failed or was cancelled before it read the tag knows no digest, but its outcome counts.
  const sawNone = last.digest === undefined && (last.outcome === 'failed' || last.outcome === 'cancelled');
  const sameDigest = last.digest === seen.digest || sawNone;
  if (!sameDigest) return 'increment';
  if (last.fingerprint !== seen.fingerprint) return 'run again';
  switch (last.outcome) {
    case 'refused':
      return last.code === 'RULE_GONE' ? 'increment' : 'leave';
    case 'promoted':
    case 'unchanged':
      // The tag names a referrer, so there is nothing to promote.
      if (last.code !== undefined) return 'leave';
      return seen.isGated !== true || isGatePassed(row, seen.digest, seen.fingerprint) ? 'compare' : 'increment';
    case 'cancelled':
      // The run was cancelled before it read the tag, so a tag written since then is new.
      return sawNone && isWrittenSince(seen.updatedAt, last) ? 'increment' : 'leave';
    case 'failed':
      // The tag is back under its former digest.
      if (isWrittenSince(seen.updatedAt, last)) return 'increment';
      if (isRetried(row, seen.now)) return 'leave';
      // `abs`, because a wrong clock may have written a failure time in the future.
      return Math.abs(seen.now.getTime() - Date.parse(last.finishedAt)) >= failurePauseMs(row.failures)
        ? 'increment'
        : 'leave';
    default:
      return 'leave';
  }
}

function isWrittenSince(updatedAt: string | undefined, { finishedAt }: { finishedAt: string }): boolean {
  return Date.parse(updatedAt ?? '') > Date.parse(finishedAt);
}

/**
 * True if the reconcile step retries it when its time comes. A time further away than any pause came from a wrong
 * clock.
 */
function isRetried({ retryAt }: PromotionFacts, now: Date): boolean {
  return retryAt !== undefined && Date.parse(retryAt) - now.getTime() <= LONGEST_PAUSE_MS;
}

/** True if this digest passed the evidence gate of a rule with this fingerprint. */
export function isGatePassed({ gate }: Pick<PromotionFacts, 'gate'>, digest: string, fingerprint: string): boolean {
  return gate?.digest === digest && gate.fingerprint === fingerprint;
}
