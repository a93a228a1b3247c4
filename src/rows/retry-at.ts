import { failurePauseMs } from '../rules/decide.js';
import type { Rule } from '../rules/rule.js';
import type { RunResult } from './run-row.js';

/**
 * When the schedule tries again what failed: after 5 minutes, doubled with each failure in a row, a day at most.
 * @returns RFC 3339; undefined if it does not: it did not fail, its rule has no schedule, or its tag is gone, which a scan sees come back
 */
export function retryAtOf(rule: Rule, result: RunResult, failures: number, now: Date): string | undefined {
  if (result.outcome !== 'failed' || result.code === 'SOURCE_GONE' || !rule.triggers.includes('schedule'))
    return undefined;
  return new Date(now.getTime() + failurePauseMs(failures)).toISOString();
}
