import type { Rule } from '../rules/rule.js';
import { decideTag } from '../rules/decide.js';
import { demandsEvidence, fingerprint } from '../rules/fingerprint.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { ScanState } from '../rows/scan-row.js';
import { isFull, type Scan } from './scan.js';

/** One repository of one rule while it is scanned. */
export interface RepositoryScan {
  scan: Scan;
  rule: Rule;
  repository: string;
  /** As far as the scan has come: whatever ends it, this is written. */
  state: ScanState;
  /** Aborted when its time is over. */
  signal: AbortSignal;
  /** Epoch milliseconds: a piece that could come later is left to the next tick. */
  until: number;
}

/** True if no further piece is to be begun: time is over, or what may be asked of the registry. */
export function isToLeave({ scan, rule, until }: RepositoryScan): boolean {
  return scan.ports.now().getTime() >= until || scan.share.left(rule.source.registry) <= 0;
}

/** True if it may not go on in this tick, or may start nothing. */
export function isToStop(place: RepositoryScan): boolean {
  return isToLeave(place) || isFull(place.scan);
}

/** What the schedule does with a tag, by what its row says. */
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
