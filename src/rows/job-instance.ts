import type { RunSummary } from './run-row.js';

/** How long a job waits for trouble to pass, and a `promote` job for its promotions; in milliseconds from its start. */
export const JOB_MS = 24 * 3_600_000;

/** The engine's instance of a job: called as its run, and otherwise once it was started again: no id is used twice. */
export function jobInstanceOf({ id, startedAgainAt }: Pick<RunSummary, 'id' | 'startedAgainAt'>): string {
  return startedAgainAt === undefined ? id : `${id}-again`;
}
