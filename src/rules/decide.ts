/** What the schedule needs to know of a promotion's row. */
export interface PromotionFacts {
  runOpen: boolean;
  failures: number;
  /** When the schedule tries again what failed. */
  retryAt?: string;
  /** What passed the evidence gate last. */
  gate?: { digest: string; fingerprint: string };
  last?: { outcome: string; code?: string; digest?: string; fingerprint: string; finishedAt: string };
}

/** First pause after a failure; doubled with each further one, a day at most. */
const FAILURE_PAUSE_MS = 5 * 60_000;
const LONGEST_PAUSE_MS = 24 * 3_600_000;

/** How long the schedule leaves a promotion alone that has failed so many times in a row. */
export function failurePauseMs(failures: number): number {
  return Math.min(FAILURE_PAUSE_MS * 2 ** Math.max(failures - 1, 0), LONGEST_PAUSE_MS);
}

/**
 * What the schedule does with a tag: `raise` it, `leave` it, `compare` the destination's digest first, or `run again` since the rule
 * was edited. A final outcome stands while the digest and the rule are what it saw.
 */
export function decideTag(seen: {
  digest: string;
  fingerprint: string;
  now: Date;
  row?: PromotionFacts;
  /** True if the rule demands evidence of others. */
  isGated?: boolean;
  /** RFC 3339, where the registry tells when the tag was last written. */
  updatedAt?: string;
}): 'raise' | 'leave' | 'compare' | 'run again' {
  const { row } = seen;
  if (row === undefined) return 'raise';
  if (row.runOpen) return 'leave';
  const { last } = row;
  if (last === undefined) return 'raise';
  // A run that failed, or was stopped, before it could read the tag saw no digest: that it did counts all the same.
  const sawNone = last.digest === undefined && (last.outcome === 'failed' || last.outcome === 'cancelled');
  const sameDigest = last.digest === seen.digest || sawNone;
  if (!sameDigest) return 'raise';
  if (last.fingerprint !== seen.fingerprint) return 'run again';
  switch (last.outcome) {
    case 'refused':
      return last.code === 'RULE_GONE' ? 'raise' : 'leave';
    case 'promoted':
    case 'unchanged':
      // Nothing to promote under this tag: it named a referrer.
      if (last.code !== undefined) return 'leave';
      return seen.isGated !== true || isGatePassed(row, seen.digest, seen.fingerprint) ? 'compare' : 'raise';
    case 'cancelled':
      // Before it could read the tag: what was written since is news.
      return sawNone && isWrittenSince(seen.updatedAt, last) ? 'raise' : 'leave';
    case 'failed':
      // Under the digest that it had: a tag that was gone is back.
      if (isWrittenSince(seen.updatedAt, last)) return 'raise';
      if (isRetried(row, seen.now)) return 'leave';
      // Also one that failed long from now, by a clock that was wrong.
      return Math.abs(seen.now.getTime() - Date.parse(last.finishedAt)) >= failurePauseMs(row.failures)
        ? 'raise'
        : 'leave';
    default:
      return 'leave';
  }
}

function isWrittenSince(updatedAt: string | undefined, { finishedAt }: { finishedAt: string }): boolean {
  return Date.parse(updatedAt ?? '') > Date.parse(finishedAt);
}

/** True if the schedule tries it again by itself when its time has come; a time that is further away than any pause is a wrong clock's. */
function isRetried({ retryAt }: PromotionFacts, now: Date): boolean {
  return retryAt !== undefined && Date.parse(retryAt) - now.getTime() <= LONGEST_PAUSE_MS;
}

/** True if this digest has passed the evidence gate by a rule of this fingerprint. */
export function isGatePassed({ gate }: Pick<PromotionFacts, 'gate'>, digest: string, fingerprint: string): boolean {
  return gate?.digest === digest && gate.fingerprint === fingerprint;
}
