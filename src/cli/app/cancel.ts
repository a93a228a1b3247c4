import type { Command } from 'commander';
import { textOf } from '../verb.js';
import type { AppCall } from './app-verb.js';
import { askApp } from './ask-app.js';

/** Options of a verb that cancels a run or a job. */
export function addCancelOptions(command: Command): void {
  command.option('--by <name>', 'who cancels; stored in the run').option('--reason <text>', 'why; stored in the run');
}

/**
 * Asks the app to stop a run, with the caller and the reason.
 * @returns the app's answer
 */
export async function cancelRun({ app, values, io }: AppCall, runId: string): Promise<unknown> {
  const { by, reason } = { by: textOf(values, 'by'), reason: textOf(values, 'reason') };
  const body = JSON.stringify({ ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) });
  return askApp(app, `runs/${encodeURIComponent(runId)}/cancel`, io, body);
}
