import { writePausing, writeWaiting } from '../rows/row-writes.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { markWaitingContract } from './contracts.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import { throwIfStopped } from '../transfer/tag.js';

/** A timer may be early by a second. */
const EARLY_MS = 1_000;

/**
 * Writes to the row that the run waits, and the event that notifies it. There is no such event until the run's pause is
 * over: until then, pushes only increment the generation.
 */
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
  // A request to stop writes its flag first and then reads the event that notifies the run.
  await throwIfStopped(ports.store, runId);
  return { done: marked };
}
