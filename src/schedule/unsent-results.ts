import { type TellPorts, tellRun } from '../promotions/result-event.js';
import type { RunSummary } from '../rows/run-row.js';

/** How long after its end a run's result event is sent by somebody else, in milliseconds: its own step does it at once. */
export const TELLING_MS = 60_000;

/** Sends the result event of a run that has ended and did not send it: it was lost, or its host died just then. @returns if it did */
export async function sendLate(ports: TellPorts, { id, finishedAt }: RunSummary): Promise<boolean> {
  if (ports.now().getTime() - Date.parse(finishedAt ?? '') < TELLING_MS) return false;
  return tellRun(ports, id);
}
