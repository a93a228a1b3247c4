import type { Command } from 'commander';
import type { AppCall } from './app-verb.js';
import { askApp } from './ask-app.js';
import { textsOf } from '../option-values.js';
import { onTerminal } from '../output/status-line.js';
import { formatResult } from '../output/result.js';

/** Options of a verb that cancels a run or a job. */
export function addCancelOptions(command: Command): void {
  command.option('--by <name>', 'who cancels; stored in the run').option('--reason <text>', 'why; stored in the run');
}

/** Asks the app to stop a run, with the caller and the reason. @param name of the run, as the user knows it */
export async function cancelRun({ app, values, format, io }: AppCall, runId: string, name = runId): Promise<void> {
  const body = JSON.stringify(textsOf(values, 'by', 'reason'));
  const answer = await askApp(app, `runs/${encodeURIComponent(runId)}/cancel`, io, body);
  io.out(format.kind === 'text' ? `Cancelled ${onTerminal(name)}\n` : formatResult(format, answer));
}
