import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { PromotionState } from '../rows/promotion-row.js';

/** The answer of a registry about one part, or why there is none. */
export type Check =
  /** `digest` of a tag; evidence has none. */
  { state: 'there'; digest?: string | undefined } | { state: 'missing' } | Unknown;

/** It could not be checked. `since`: the first failed check that the row knows; otherwise this one. */
export interface Unknown {
  state: 'unknown';
  since: string;
  code: string;
  reason: string;
  remedy?: string | undefined;
}

/** The parts of an answer. Evidence is looked for only if all else says that the promotion is in sync. */
export interface Checks {
  source: Check;
  destination: Check;
  evidence?: Check | undefined;
}

/** One rule's answer. */
export interface ExplainedPromotion {
  promotionId: string;
  rule: string;
  source: string;
  destination: string;
  /**
   * A state of a promotion, as everywhere. `in_sync` is what the last run found, `waiting` also what waits for its next run: for an
   * event or the schedule, or for PROMOTION_PAUSED to be removed.
   */
  state: PromotionState;
  /** True if the destination has what the rule wants now; null if that could not be checked; absent if no rule matches any more. */
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
  /** The answers of the registries. Absent in answers of older versions. */
  checks?: Checks;
}

/** Whether a tag, a repository or a digest is promoted, and if not, why not. */
export interface Explanation {
  reference: string;
  /** True if every promotion is; false if one is not, or there is none; otherwise null: a registry could not be asked. */
  promoted: boolean | null;
  promotions: ExplainedPromotion[];
  /** Of a tag without a promotion: the rule that came nearest, and its first condition that failed. */
  nearest?: string;
  /** Why a digest or a repository has no promotion, or where the rest of them is listed. */
  note?: string;
  ignored: IgnoredEvent[];
  /** Warnings about the signing key. */
  warnings?: { code: string; message: string; remedy: string }[];
}
