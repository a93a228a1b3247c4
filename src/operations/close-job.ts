import { endRunRow } from '../rows/run-end.js';
import type { InputOf } from '../rows/step-contract.js';
import type { closeJobContract } from './contracts.js';
import type { Ports } from '../ports/ports.js';
import { sendResultEvent } from '../promotions/close-run.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

/** Ends a job's run, and sends its result event. */
export async function closeJobStep(
  ports: Pick<Ports, 'engine' | 'documents' | 'queues' | 'paused' | 'now'> & StorePort<Runs>,
  input: InputOf<typeof closeJobContract>,
): Promise<null> {
  await endRunRow(ports, input.runId, input.result);
  await sendResultEvent(ports, input.runId);
  return null;
}
