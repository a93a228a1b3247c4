import type { Rule } from '../rules/rule.js';
import { decideTag } from '../rules/decide.js';
import { demandsEvidence, fingerprint } from '../rules/fingerprint.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { ScanState } from '../rows/scan-row.js';
import { isFull, type Scan } from './scan.js';

/** One repository of one rule during a scan. */
export interface RepositoryScan {
  scan: Scan;
  rule: Rule;
  repository: string;
  /** Progress so far. It is written even if the scan fails. */
  state: ScanState;
  /** Aborted when the repository's time is over. */
  signal: AbortSignal;
  /** After this time no new piece is begun, in epoch milliseconds. */
  until: number;
}

/** True if no new piece may be begun: the time is over or the registry's request share is used up. */
export function isToLeave({ scan, rule, until }: RepositoryScan): boolean {
  return scan.ports.now().getTime() >= until || scan.share.left(rule.source.registry) <= 0;
}

/** True if no new piece may be begun, or no more runs may be started. */
export function isToStop(place: RepositoryScan): boolean {
  return isToLeave(place) || isFull(place.scan);
}

/** Decides what the schedule does with a tag, from its row. */
export function decide(
  { scan, rule }: RepositoryScan,
  { digest, updatedAt }: { digest: string; updatedAt?: string },
  row: PromotionRow | undefined,
): ReturnType<typeof decideTag> {
  return decideTag({
    digest,
    ...(updatedAt !== undefined && { updatedAt }),
    isGated: demandsEvidence(rule),
    fingerprint: fingerprint(rule),
    now: scan.ports.now(),
    ...(row !== undefined && { row }),
  });
}
