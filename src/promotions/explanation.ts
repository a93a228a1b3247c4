import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { PromotionState } from '../rows/promotion-row.js';

/** The answer of a registry to one check, or why there is none. */
export type Check =
  /** `digest` only for a tag. */
  { state: 'there'; digest?: string | undefined } | { state: 'missing' } | Unknown;

/** The check failed. `since`: the first failed check in the row, otherwise this one. */
export interface Unknown {
  state: 'unknown';
  since: string;
  code: string;
  reason: string;
  remedy?: string | undefined;
}

/** The checks of an answer. Evidence is checked only if everything else says that the promotion is in sync. */
export interface Checks {
  source: Check;
  destination: Check;
  evidence?: Check | undefined;
}

/** One rule's answer. */
export interface ExplainedPromotion {
  /** Absent if there is no promotion yet. */
  promotionId?: string;
  rule: string;
  source: string;
  destination: string;
  /**
   * The state of the promotion. `in_sync` is what the last run found. `waiting` includes a promotion whose next run
   * waits for an event, for the schedule, or for PROMOTION_PAUSED=false. Absent if there is no promotion yet.
   */
  state?: PromotionState;
  /**
   * True if the destination has what the rule requires now; null if that could not be checked; absent if no rule
   * matches any more.
   */
  promoted?: boolean | null | undefined;
  /** One sentence or two. */
  text: string;
  /** The time since when it is in this state; absent if unknown. */
  since?: string;
  /** The digest of the last run. */
  digest?: string;
  runId?: string;
  /** The step of an open run. */
  step?: string;
  code?: string;
  reason?: string;
  remedy?: string;
  /** The answers of the registries. Absent if they were not asked. */
  checks?: Checks;
}

/** Whether a tag, a repository or a digest is promoted, and if not, why not. */
export interface Explanation {
  reference: string;
  /**
   * True if every promotion is promoted; false if one is not, or if there is none; null if a registry could not be
   * asked.
   */
  promoted: boolean | null;
  promotions: ExplainedPromotion[];
  /**
   * For a tag without a promotion: the rule with the most conditions met, and the first condition that the tag fails.
   */
  nearest?: string;
  /** Why a digest or a repository has no promotion, or where the others are listed. */
  note?: string;
  ignored: IgnoredEvent[];
  /** Warnings about the signing key. */
  warnings?: { code: string; message: string; remedy: string }[];
}
