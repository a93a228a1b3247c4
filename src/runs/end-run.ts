import type { RunPorts } from './ports.js';
import type { RunResult } from './rows.js';
import { untilWritten } from './until-written.js';

/** Ends the run's own row. May be done twice. */
export async function endRunRow(ports: RunPorts, runId: string, result: RunResult): Promise<void> {
  await untilWritten(runId, async () => {
    const current = await ports.store.getRun(runId);
    if (current === undefined || current.value.state === 'ended') return true;
    const row = { ...current.value, state: 'ended' as const, finishedAt: ports.now().toISOString(), result };
    return (await ports.store.replaceRun(row, current.version)) ? true : undefined;
  });
}
