import { PromoterError } from '../oci/index.js';
import type { Cancellation, RunResult, RunRow } from './run-row.js';
import type { Promotions } from '../ports/promotions.js';
import type { RunPorts } from '../ports/run-ports.js';
import { jobInstanceOf } from './job-instance.js';
import type { PromotionRow } from './promotion-row.js';
import { changeRun } from './row-writes.js';

/** The error code of a run that somebody stopped. Its outcome is `cancelled`. */
export const RUN_CANCELLED = 'RUN_CANCELLED';

const REMEDY =
  'If the cancel was intended, do nothing. Otherwise run a promotion again: acr-promoter promotions run NAME:TAG; submit a job again under another id.';

/** The result of a run that somebody stopped. */
export function cancelledResult({ by, at, reason }: Cancellation): RunResult {
  const why = reason === undefined ? '' : `: ${reason}`;
  return { outcome: 'cancelled', code: RUN_CANCELLED, reason: `cancelled by ${by} at ${at}${why}`, remedy: REMEDY };
}

/**
 * Why a step of the run must stop, or must not begin: somebody stopped the run, or it has ended. It has ended if the
 * step's message was delivered twice, or if the schedule ended the run as interrupted.
 * @param run undefined if its row was removed, RUN_RETENTION_DAYS after its end
 */
export function whyToStop(runId: string, run: RunRow | undefined): PromoterError | undefined {
  if (run !== undefined && run.state !== 'ended')
    return run.cancel && new PromoterError(RUN_CANCELLED, cancelledResult(run.cancel).reason ?? '', { remedy: REMEDY });
  const how = run === undefined ? 'was removed' : `ended as ${run.result?.outcome} at ${run.finishedAt}`;
  return new PromoterError('RUN_ENDED', `run ${runId} ${how}`, {
    remedy: 'No action needed: a late message of an ended run does nothing. To repeat a job, send it under another id.',
  });
}

/** True if a step failed because its run was stopped. */
export function isCancelled(error: unknown): boolean {
  return error instanceof PromoterError && error.code === RUN_CANCELLED;
}

export type CancelAnswer =
  | { state: 'unknown' }
  /**
   * The run ended before the request, or did its last write before it saw the request.
   * @param next the promotion's run that is open now
   */
  | { state: 'ended'; result: RunResult | undefined; next: string | undefined }
  /** The run stops or has stopped. A second request gets the answer of the first. */
  | { state: 'accepted'; cancel: Cancellation };

/**
 * Asks a run to stop: writes a flag into its row, then ends its waits. The instance is never terminated; the run closes
 * its row itself, as `cancelled`. Can be repeated.
 * @throws PromoterError `ROW_CONTENDED` (transient)
 */
export async function cancelRun(
  ports: Omit<RunPorts, 'paused'>,
  runId: string,
  who: { by: string; reason?: string },
): Promise<CancelAnswer> {
  const run = await changeRun(ports.store, runId, async (row) => {
    if (row.state === 'ended' || row.cancel !== undefined) return undefined;
    const promotion = await promotionOf(ports.store, row);
    const generation = promotion?.runId === runId ? promotion.generation : undefined;
    return { ...row, cancel: { ...who, at: ports.now().toISOString(), generation } };
  });
  if (run === undefined) return { state: 'unknown' };
  const { cancel, state, result } = run;
  if (cancel === undefined || (state === 'ended' && result?.outcome !== 'cancelled')) {
    const promotion = await promotionOf(ports.store, run);
    const next = promotion?.runOpen === true && promotion.runId !== runId ? promotion.runId : undefined;
    return { state: 'ended', result, next };
  }
  if (state !== 'ended') await endWaits(ports, run);
  return { state: 'accepted', cancel };
}

/** The row of a run's promotion. Undefined for a job. */
async function promotionOf(store: Promotions, { input }: RunRow): Promise<PromotionRow | undefined> {
  return input.kind === 'promotion' ? (await store.getPromotion(input.promotionId))?.value : undefined;
}

/**
 * The flag is written before this reads the progress rows. A run that begins to wait writes its event first and then
 * reads the flag, so one of the two sees the other.
 */
async function endWaits({ store, engine }: Pick<RunPorts, 'store' | 'engine'>, run: RunRow): Promise<void> {
  const steps = await store.listProgress(run.id);
  const waits = steps.map(({ state, event }) => (state === 'waiting' ? event : undefined));
  const promotion = await promotionOf(store, run);
  if (promotion?.runId === run.id) waits.push(promotion.waitingFor);
  for (const event of waits) if (event !== undefined) await engine.notify(jobInstanceOf(run), event);
}
