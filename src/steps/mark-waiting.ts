import { throwIfCancelled } from '../runs/cancellation.js';
import { markWaiting } from '../runs/owned-run.js';
import type { InputOf, ResultOf, markWaitingContract } from './contracts.js';
import type { Ports, StepCall } from './ports.js';

/** Writes into the row that the run waits, and by which event it is woken. */
export async function markWaitingStep(
  ports: Pick<Ports, 'store' | 'engine' | 'paused' | 'now'>,
  input: InputOf<typeof markWaitingContract>,
  { progress }: StepCall,
): Promise<ResultOf<typeof markWaitingContract>> {
  progress.text(input.reasons.join('; '));
  const marked = await markWaiting(ports, input.promotionId, input.runId, input.wanted, input.event);
  // Who asks the run to stop writes that first, and then looks by which event it is woken.
  await throwIfCancelled(ports.store, input.runId);
  return marked;
}
