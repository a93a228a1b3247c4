import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { PromotionState } from '../rows/promotion-row.js';

/** What a registry says about one part of the answer, or why it says nothing. */
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
  /** Since when it stands so; absent where nobody knows: it moved, or is no longer wanted. */
  since?: string;
  /** What the destination got, or the run saw. */
  digest?: string;
  runId?: string;
  /** Of an open run: what it is at. */
  step?: string;
  code?: string;
  reason?: string;
  remedy?: string;
  /** What the registries say now. Absent from an app of an older version. */
  checks?: Checks;
}

/** Is this tag where it belongs, and if not, why not. */
export interface Explanation {
  reference: string;
  /** True if every rule that matches it has it at its destination; null if that could not be checked, and nothing says that it is not so. */
  promoted: boolean | null;
  promotions: ExplainedPromotion[];
  /** Of a tag without a promotion: the rule that came nearest, and its first condition that failed. */
  nearest?: string;
  /** What else there is to say: why a digest or a repository has no promotion, or that there are more of them. */
  note?: string;
  ignored: IgnoredEvent[];
  /** What is to be done about the key that signs for its rules. */
  warnings?: { code: string; message: string; remedy: string }[];
}
