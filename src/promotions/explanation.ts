import type { IgnoredEvent } from '../rows/ignored-event.js';

/** What a registry says about one part of the answer, or why it says nothing. */
export type Check =
  /** `digest` of a tag; evidence has none. */
  { state: 'there'; digest?: string | undefined } | { state: 'missing' } | Unknown;

/** It could not be checked. `since`: the first look that failed, as far as the row knows; otherwise this one. */
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

export const STANDINGS = [
  /** The destination is the source's digest. */
  'in_sync',
  /** It was, and one of both has moved since, or the signature is no longer there. */
  'moved',
  /** It was, and what stands there now could not be checked: a registry gave no answer. */
  'unknown',
  /** A run is open. */
  'working',
  /** A run is open, and waits for evidence. */
  'waiting',
  /** Wanted, and kept from starting: PROMOTION_PAUSED. */
  'paused',
  /** Wanted; the schedule starts it. */
  'queued',
  'observed',
  'refused',
  'failed',
  'cancelled',
  /** There is nothing to promote: the tag is gone, or names a referrer. */
  'nothing',
  /** A rule wants it, and no trigger has told of it. */
  'not_seen',
  /** There was a promotion; no rule matches it any more. */
  'unwanted',
] as const;
export type Standing = (typeof STANDINGS)[number];

/** One rule's answer. */
export interface ExplainedPromotion {
  promotionId: string;
  rule: string;
  source: string;
  destination: string;
  standing: Standing;
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
  /** Where there is none: the rule that came nearest, and its first condition that failed. */
  nearest?: string;
  ignored: IgnoredEvent[];
  /** What is to be done about the key that signs for its rules. */
  warnings?: { code: string; message: string; remedy: string }[];
}
