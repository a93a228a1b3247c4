/** Bounds of this folder. */
export const PROMOTION_LIMITS = {
  /** Rules in one document. `RULES_INVALID` */
  rules: 200,
  /** Bytes of one rule as JSON, trust stores included: a run carries its rule as input. `RULES_INVALID` */
  ruleBytes: 30_000,
  /** Bytes of the rules document. `RULES_INVALID` */
  documentBytes: 1_000_000,
  /** A rule's deadline, in milliseconds. `RULES_INVALID` */
  shortestDeadlineMs: 10_000,
  longestDeadlineMs: 7 * 24 * 3_600_000,
  /** What a document may allow one tick of the schedule to start, and what it does as it comes. `RULES_INVALID` */
  runsPerTick: 10_000,
  defaultRunsPerTick: 200,
} as const;
