import type { Rule } from '../rules/rule.js';

/** How much one tick of the schedule may start. */
export interface TickLimit {
  /** New runs; the rules document has it. @throws as `RulesSource.load` does */
  maxRunsPerTick(): Promise<number>;
}

/** Rules as they stand now, for the run that is opened next. */
export interface RulesSource {
  /** @throws InputError `RULES_INVALID`, `RULES_CYCLE`; ConfigurationError `RULES_UNREADABLE` */
  load(): Promise<readonly Rule[]>;
}

/**
 * Codes of {@link RulesSource.load} for rules that cannot be read. That is no fault of a message, a run or a job: each waits until
 * somebody has corrected them.
 */
export const BROKEN_RULES: ReadonlySet<string> = new Set(['RULES_INVALID', 'RULES_CYCLE', 'RULES_UNREADABLE']);
