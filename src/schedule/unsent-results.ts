import { type ResultEventPorts, sendResultEvent } from '../promotions/result-event.js';
import type { RunSummary } from '../rows/run-row.js';

/** How long the run itself has to send its result event before the schedule sends it, in milliseconds. */
export const TELLING_MS = 60_000;

/**
 * Sends the result event of a run that finished without sending it, for example because its host died.
 * @returns true if it sent it
 */
export async function sendLate(ports: ResultEventPorts, { id, finishedAt }: RunSummary): Promise<boolean> {
  if (ports.now().getTime() - Date.parse(finishedAt ?? '') < TELLING_MS) return false;
  return sendResultEvent(ports, id);
}
