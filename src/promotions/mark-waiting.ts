import { throwIfStopped } from '../rows/cancellation.js';
import { writePausing, writeWaiting } from '../rows/row-writes.js';
import type { InputOf, ResultOf } from '../rows/steps.js';
import type { markWaitingContract } from './contracts.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';

/** A timer may be early by a second. */
const EARLY_MS = 1_000;

/** Writes into the row that the run waits, and by which event it is woken. Until its pause is over, that is none: pushes are counted only. */
export async function markWaitingStep(
  ports: StorePort<Promotions & Runs>,
  { promotionId, runId, generation, event, reasons, pauseMs }: InputOf<typeof markWaitingContract>,
  { progress, waitedMs = 0 }: StepCall,
): Promise<StepReply<ResultOf<typeof markWaitingContract>>> {
  progress.text(reasons.join('; '));
  const leftMs = pauseMs - waitedMs;
  if (leftMs > EARLY_MS)
    return (await writePausing(ports, promotionId, runId)) ? { retryAfterMs: leftMs } : { done: 'gone' };
  const marked = await writeWaiting(ports, promotionId, runId, generation, event);
  // Who asks the run to stop writes that first, and then looks by which event it is woken.
  await throwIfStopped(ports.store, runId);
  return { done: marked };
}
