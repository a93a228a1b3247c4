import type { Runs } from '../ports/runs.js';
import { PromoterError } from '../oci/index.js';
import type { Cancellation, RunResult, RunRow } from './run-row.js';

/** The code by which a run that was stopped ends; its outcome is `cancelled`. */
export const RUN_CANCELLED = 'RUN_CANCELLED';

const REMEDY =
  'Nothing, where that was meant; otherwise POST /api/promotions/{id}/run (a job: send it again under another id), or push the tag again.';

/** How a run that was stopped ends. */
export function cancelledResult({ by, at, reason }: Cancellation): RunResult {
  const why = reason === undefined ? '' : `: ${reason}`;
  return { outcome: 'cancelled', code: RUN_CANCELLED, reason: `cancelled by ${by} at ${at}${why}`, remedy: REMEDY };
}

/** What a step throws that is to stop. */
export function cancelledError(cancel: Cancellation): PromoterError {
  return new PromoterError(RUN_CANCELLED, cancelledResult(cancel).reason ?? '', { remedy: REMEDY });
}

/**
 * What a step throws whose run has ended: its message was delivered again, or the run was given up.
 * @param run undefined: its row was removed, RUN_RETENTION_DAYS after its end
 */
export function endedError(runId: string, run?: RunRow): PromoterError {
  const how = run === undefined ? 'is not kept any more' : `ended as ${run.result?.outcome} at ${run.finishedAt}`;
  return new PromoterError('RUN_ENDED', `run ${runId} ${how}`, {
    remedy: 'Nothing: what came late is not done. To do a job again, send it under another id.',
  });
}

/**
 * The last look before a write. @throws PromoterError `RUN_CANCELLED` if the run is to stop; `RUN_ENDED` if its row has ended or was
 * removed: a process that was frozen goes on where it was, when another has done the work long since
 */
export async function throwIfStopped(store: Runs, runId: string): Promise<void> {
  const run = (await store.getRun(runId))?.value;
  if (run === undefined || run.state === 'ended') throw endedError(runId, run);
  if (run.cancel !== undefined) throw cancelledError(run.cancel);
}

/** Whether that is why something failed. */
export function isCancelled(error: unknown): boolean {
  return error instanceof PromoterError && error.code === RUN_CANCELLED;
}
