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

/** A job that was opened more recently is left to whoever opened it. Milliseconds. */
const YOUNG_MS = 60_000;
/** A job that is pending for longer is started without its queue message. Milliseconds. */
const UNASKED_MS = 15 * 60_000;
/**
 * Compares an open job with the engine. Starts a job whose message was lost. If its instance is gone or ended without
 * closing the job, starts the job once more if it had not begun or is safe to repeat; otherwise, and after the second
 * time, the job fails. A job also fails two days after the longest time that it may take. Safe to repeat, and safe on
 * several hosts at once.
 * @returns undefined if nothing was done, or another writer was first
 */
export async function reconcileJob(ports: JobPorts, listed: RunSummary): Promise<'started' | 'lost' | undefined> {
  if (ports.now().getTime() - Date.parse(listed.startedAgainAt ?? listed.openedAt) < YOUNG_MS) return undefined;
  const { id } = listed;
  // Read the engine before the row: an instance that ends in between has then already written the row.
  const { state } = await ports.engine.state(jobInstanceOf(listed));
  const row = await ports.store.getRun(id);
  // Another tick has handled this job.
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
 * Marks an orphaned job as pending again, for a new instance. The mark is written before the start: if the host dies in
 * between, the job is one that the engine does not have, and it is started.
 * @returns undefined if the job must not be started again; `overtaken` if another writer was first
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
      ? 'the job was still open two days after the longest time that a job may take'
      : 'the orchestration of the job is gone or ended without a result',
    remedy: 'Check what the job has done, then submit it again with another id.',
  };
}
