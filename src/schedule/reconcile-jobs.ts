import { cancelledResult } from '../rows/cancellation.js';
import { endRunRow } from '../rows/end-run.js';
import { JOB_MS, jobInstanceOf } from '../rows/job-instance.js';
import type { RunResult, RunRow, RunSummary } from '../rows/run-row.js';
import type { Versioned } from '../ports/versioned.js';
import { isSafeToRepeat } from '../operations/policy.js';
import type { Ports } from '../ports/ports.js';
import { OVERDUE_MS } from '../rows/reconcile.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

export type JobPorts = Pick<Ports, 'engine' | 'now'> & StorePort<Runs>;

/** A job that is open for less is left to whoever opened it; in milliseconds. */
const YOUNG_MS = 60_000;
/** How long the message of a job may be in its queue before the job is started without it; in milliseconds. */
const UNASKED_MS = 15 * 60_000;
/**
 * Compares an open job with the engine. A job whose message was lost is started. A job whose instance is gone, or ended without closing
 * it, is started once more if it had not begun or is safe to repeat; otherwise, and the second time, it has failed. A job has also
 * failed two days after it could have run for its longest. May be done any number of times, and by several at once.
 * @returns what became of it; undefined: nothing, or another was faster
 */
export async function reconcileJob(ports: JobPorts, listed: RunSummary): Promise<'started' | 'lost' | undefined> {
  if (ports.now().getTime() - Date.parse(listed.startedAgainAt ?? listed.openedAt) < YOUNG_MS) return undefined;
  const { id } = listed;
  // The instance first: one that ends in between has written its row by the time the row is read.
  const { state } = await ports.engine.state(jobInstanceOf(listed));
  const row = await ports.store.getRun(id);
  // Another tick was faster, or it began to wait for another instance.
  if (row === undefined || row.value.state === 'ended' || row.value.startedAgainAt !== listed.startedAgainAt)
    return undefined;
  const openMs = ports.now().getTime() - Date.parse(listed.startedAgainAt ?? listed.openedAt);
  const isOverdue = openMs >= JOB_MS + OVERDUE_MS;
  if (!isOverdue && (state === 'pending' || state === 'running')) return undefined;
  const isUnasked = state === 'missing' && row.value.state === 'pending';
  if (isUnasked && row.value.startedAgainAt === undefined && !isOverdue && openMs < UNASKED_MS) return undefined;
  const run = isOverdue ? undefined : isUnasked ? row.value : await startableAgain(ports, row);
  if (run === 'overtaken') return undefined;
  if (run !== undefined) {
    await ports.engine.start('runJob', jobInstanceOf(run), { runId: id });
    return 'started';
  }
  const { cancel } = row.value;
  await endRunRow(ports, id, cancel === undefined ? lost(isOverdue) : cancelledResult(cancel));
  return 'lost';
}

/**
 * Marks an orphaned job as pending again, for another instance. The mark comes before the start: a host that dies in between leaves a job that
 * the engine does not have.
 * @returns undefined if it is not to be started once more; `overtaken` if another writer was first
 */
async function startableAgain(
  { store, now }: JobPorts,
  { value, version }: Versioned<RunRow>,
): Promise<RunRow | 'overtaken' | undefined> {
  const { input, state, cancel, startedAgainAt } = value;
  if (input.kind !== 'job' || cancel !== undefined || startedAgainAt !== undefined) return undefined;
  if (state !== 'pending' && !isSafeToRepeat(input.job)) return undefined;
  const marked: RunRow = { ...value, state: 'pending', startedAgainAt: now().toISOString() };
  return (await store.replaceRun(marked, version)) ? marked : 'overtaken';
}

function lost(isOverdue: boolean): RunResult {
  return {
    outcome: 'failed',
    code: 'RUN_LOST',
    reason: isOverdue
      ? 'the job did not end, two days after the longest that a job may take'
      : 'the orchestration of the job is gone, or ended without closing it',
    remedy: 'See what the job has done, and send it again under another id.',
  };
}
