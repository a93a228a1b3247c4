import { PromoterError } from '../oci/index.js';
import type { RunStore } from './ports.js';
import type { Cancellation, RunResult } from './rows.js';

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

/** Reads the run's row. @throws PromoterError `RUN_CANCELLED` where the run is to stop */
export async function throwIfCancelled(store: Pick<RunStore, 'getRun'>, runId: string): Promise<void> {
  const cancel = (await store.getRun(runId))?.value.cancel;
  if (cancel !== undefined) throw cancelledError(cancel);
}

/** Whether that is why something failed. */
export function isCancelled(error: unknown): boolean {
  return error instanceof PromoterError && error.code === RUN_CANCELLED;
}
