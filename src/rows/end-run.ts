import { cancelledResult } from './cancellation.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { RunResult } from './run-row.js';
import { untilWritten } from './until-written.js';

/** How a run ends that will never close its promotion. */
export const LOST: RunResult = {
  outcome: 'failed',
  code: 'RUN_LOST',
  reason:
    'the engine has lost it or a part of it, or it ended without closing its promotion; where its rule still wants it, the next run follows, and the schedule tries again where that is lost too',
  remedy: 'Nothing, where it happens once. Otherwise look into the log of the host for why its orchestrations end.',
};

/** True where a run has ended so: whoever gave it up, or the next tick, opens the one that follows. */
export function isLost({ code }: RunResult): boolean {
  return code === LOST.code;
}

/** Ends the run's own row. May be done twice, and by several. @returns how it ended: the first to say so is right */
export async function endRunRow(
  ports: Pick<RunPorts, 'store' | 'now'>,
  runId: string,
  result: RunResult,
): Promise<RunResult> {
  return untilWritten(runId, async () => {
    const current = await ports.store.getRun(runId);
    if (current === undefined) return result;
    if (current.value.state === 'ended') return current.value.result ?? result;
    const { cancel } = current.value;
    // One that is to stop is followed by none.
    const end = result.outcome === 'superseded' && cancel !== undefined ? cancelledResult(cancel) : result;
    const row = { ...current.value, state: 'ended' as const, finishedAt: ports.now().toISOString(), result: end };
    return (await ports.store.replaceRun(row, current.version)) ? end : undefined;
  });
}
