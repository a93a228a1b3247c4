import { parseReference } from '../oci/index.js';
import type { PromotionRow } from './promotion-row.js';

/** How long after a look, or a run, resync looks again at the earliest, in milliseconds: lists may be late for as long. */
const RESYNC_PAUSE_MS = 15 * 60_000;
/** How often a run looks at what resync cannot decide, in milliseconds. */
export const DAILY_MS = 24 * 3_600_000;

/**
 * Refusals that nothing but the digest, the rule or the claim changes: scans see those. Content that was refused stays what it is.
 */
const SEEN_BY_SCANS = new Set([
  'DESTINATION_TAKEN',
  'RULE_GONE',
  'IS_REFERRER',
  'REFERRER_IN_INDEX',
  'DESCRIPTOR_MISMATCH',
  'IMAGE_CONFIG_MISMATCH',
  'MANIFEST_AMBIGUOUS',
]);

/** Two registries of which promotions are compared; each such pair has its lists. */
export interface ResyncLane {
  source: string;
  destination: string;
}

/** A promotion's turn: `urgent` ones (evidence that was missing, a look that failed, what a run looks at daily) come before `all`. */
export interface ResyncTurn extends ResyncLane {
  list: 'urgent' | 'all';
  /** When it is due: RFC 3339. */
  at: string;
}

/** When resync looks at a promotion next, by what its row says; undefined: never, as the row stands. */
export function resyncTurnOf(row: PromotionRow): ResyncTurn | undefined {
  const { state, runOpen, generation, observedGeneration, last, runId, resync } = row;
  if (runOpen || generation > observedGeneration || last === undefined) return undefined;
  const isRefused = state === 'refused' && !SEEN_BY_SCANS.has(last.code ?? '');
  // One in sync with a code is in sync with nothing: its tag names a referrer.
  if (!isRefused && (state !== 'in_sync' || last.code !== undefined)) return undefined;
  const lane = { source: row.source.registry, destination: parseReference(row.destination).registry };
  // A later run has compared everything itself.
  const own = resync?.runId === runId ? resync : undefined;
  if (own?.trouble !== undefined) return { ...lane, list: 'urgent', at: own.trouble.retryAt };
  if (isRunsToDecide(row)) return { ...lane, list: 'urgent', at: later(last.finishedAt, DAILY_MS) };
  return { ...lane, list: isRefused ? 'urgent' : 'all', at: later(own?.at ?? last.finishedAt, RESYNC_PAUSE_MS) };
}

/** True if only a run can tell: a lock, a setting, or more than one look may ask for. */
export function isRunsToDecide({ state, last, resync }: PromotionRow): boolean {
  if (state === 'refused') return last?.code !== 'EVIDENCE_MISSING';
  return resync?.tooLarge !== undefined && resync.tooLarge === last?.digest;
}

function later(at: string, ms: number): string {
  return new Date(Date.parse(at) + ms).toISOString();
}
