import type { Rule } from '../rules/rule.js';

/** How many runs one tick of the schedule may start. */
export interface TickLimit {
  /**
   * Reads the number from the rules document.
   * @throws as `RulesSource.load` does
   */
  maxRunsPerTick(): Promise<number>;
}

/** The current rules. Each new run reads them. */
export interface RulesSource {
  /** @throws InputError `RULES_INVALID`, `RULES_CYCLE`; ConfigurationError `RULES_UNREADABLE` */
  load(): Promise<readonly Rule[]>;
}

/**
 * Errors of {@link RulesSource.load} for rules that cannot be read. The message, run or job is not at fault: it waits
 * until somebody corrects the rules.
 */
export const BROKEN_RULES: ReadonlySet<string> = new Set(['RULES_INVALID', 'RULES_CYCLE', 'RULES_UNREADABLE']);
