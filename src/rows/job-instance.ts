import type { RunSummary } from './run-row.js';

/** How long a job waits for errors to pass, and a `promote` job for its promotions, in milliseconds from its start. */
export const JOB_MS = 24 * 3_600_000;

/** The id of a job's orchestration instance: the run id at first, another id after a restart. No id is used twice. */
export function jobInstanceOf({ id, startedAgainAt }: Pick<RunSummary, 'id' | 'startedAgainAt'>): string {
  return startedAgainAt === undefined ? id : `${id}-again`;
}
