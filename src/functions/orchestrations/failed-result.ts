import { RUN_CANCELLED } from '../../rows/cancellation.js';
import type { Outcome } from '../../rows/run-row.js';
import type { StepFailed } from './step.js';

/** How a run ends in which a step failed for good. */
export function failedResult({ code, message, remedy, refused }: StepFailed): {
  outcome: Outcome;
  code?: string;
  reason: string;
  remedy?: string;
} {
  // The tag moved on while something was waited for: the next run is about what it means now.
  if (code === 'SUPERSEDED') return { outcome: 'superseded', reason: message };
  const outcome = code === RUN_CANCELLED ? 'cancelled' : refused ? 'refused' : 'failed';
  return { outcome, code, reason: message, ...(remedy !== undefined && { remedy }) };
}
