import { cancelledResult } from './cancellation.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { Runs } from '../ports/runs.js';
import type { RunResult, RunRow } from './run-row.js';
import type { Versioned } from '../ports/versioned.js';
import { untilWritten } from './until-written.js';

/** How a run ends whose orchestration is gone, or ended without closing its promotion. */
export const INTERRUPTED: RunResult = {
  outcome: 'interrupted',
  reason: 'its orchestration is gone, or it ended without closing its promotion: a worker died, say, or a host stopped',
  remedy: 'Nothing: the next run goes on from what is there.',
};

/**
 * Ends the run's own row. May be done twice, and by several.
 * @param known the row as it was just read
 * @returns how it ended: the first to say so is right
 */
export async function endRunRow(
  ports: { store: Runs } & Pick<RunPorts, 'now'>,
  runId: string,
  result: RunResult,
  known?: Versioned<RunRow>,
): Promise<RunResult> {
  let knownRow = known;
  return untilWritten(runId, async () => {
    const current = knownRow ?? (await ports.store.getRun(runId));
    knownRow = undefined;
    if (current === undefined) return result;
    if (current.value.state === 'ended') return current.value.result ?? result;
    const { cancel } = current.value;
    // One that is to stop is followed by none.
    const end = result.outcome === 'superseded' && cancel !== undefined ? cancelledResult(cancel) : result;
    const row = { ...current.value, state: 'ended' as const, finishedAt: ports.now().toISOString(), result: end };
    return (await ports.store.replaceRun(row, current.version)) ? end : undefined;
  });
}
