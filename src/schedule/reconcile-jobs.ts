import { cancelledResult } from '../rows/cancellation.js';
import { endRunRow } from '../rows/end-run.js';
import { JOB_MS, jobInstanceOf } from '../rows/job-instance.js';
import type { RunResult, RunRow, RunSummary } from '../rows/run-row.js';
import type { Versioned } from '../ports/versioned.js';
import { isSafeToRepeat } from '../operations/policy.js';
import { pagesInTurn } from './page-from.js';
import type { Ports } from '../ports/ports.js';
import { isOfOneRow } from './scan.js';
import { OVERDUE_MS } from '../rows/reconcile.js';
import type { StorePort } from '../ports/store.js';
import type { Notes } from '../ports/notes.js';
import type { RunLists } from '../ports/run-lists.js';
import type { Runs } from '../ports/runs.js';

type JobPorts = Pick<Ports, 'engine' | 'now'> & StorePort<Runs & RunLists & Notes>;

/** A job that is open for less is left to whoever opened it; in milliseconds. */
const YOUNG_MS = 60_000;
/** How long the message of a job may be in its queue before the job is started without it; in milliseconds. */
const UNASKED_MS = 15 * 60_000;
/** Jobs of a page, and pages that a tick looks at after the first; it continues where the last one stopped. */
const PAGE_JOBS = 100;
const MORE_PAGES = 4;
/** Where the next tick continues, if there is more than a page of open jobs. */
const NOTE = 'open-jobs';

/** Run ids of the jobs that were started, for the first time or once more, and of those that have ended; and what went wrong. */
export interface ReconciledJobs {
  started: string[];
  lost: string[];
  problems: string[];
}

/**
 * Compares the open jobs with the engine, the oldest first. A job whose message was lost is started. A job whose
 * instance is gone, or ended without closing it, is started once more if it had not begun or is safe to repeat; otherwise, and
 * the second time, it has failed. A job has also failed two days after it could have run for its longest. May be done any
 * number of times, and by several at once.
 */
export async function reconcileJobs(ports: JobPorts): Promise<ReconciledJobs> {
  const found: ReconciledJobs = { started: [], lost: [], problems: [] };
  for await (const job of openJobs(ports)) {
    if (ports.now().getTime() - Date.parse(job.startedAgainAt ?? job.openedAt) < YOUNG_MS) continue;
    try {
      await reconcile(ports, job, found);
    } catch (error) {
      if (!isOfOneRow(error)) throw error;
      found.problems.push(`runId=${job.id}: ${error.code}: ${error.message}`);
    }
  }
  return found;
}

/** The oldest page, and some more in turn. */
function openJobs({ store }: JobPorts): AsyncGenerator<RunSummary, void, undefined> {
  return pagesInTurn(store, NOTE, MORE_PAGES, (from) =>
    store.listOpenJobs({ size: PAGE_JOBS, ...(from !== undefined && { from }) }),
  );
}

async function reconcile(ports: JobPorts, listed: RunSummary, found: ReconciledJobs): Promise<void> {
  const { id } = listed;
  // The instance first: one that ends in between has written its row by the time the row is read.
  const { state } = await ports.engine.state(jobInstanceOf(listed));
  const row = await ports.store.getRun(id);
  // Another tick was faster, or it began to wait for another instance.
  if (row === undefined || row.value.state === 'ended' || row.value.startedAgainAt !== listed.startedAgainAt) return;
  const openMs = ports.now().getTime() - Date.parse(listed.startedAgainAt ?? listed.openedAt);
  const isOverdue = openMs >= JOB_MS + OVERDUE_MS;
  if (!isOverdue && (state === 'pending' || state === 'running')) return;
  const isUnasked = state === 'missing' && row.value.state === 'pending';
  if (isUnasked && row.value.startedAgainAt === undefined && !isOverdue && openMs < UNASKED_MS) return;
  const run = isOverdue ? undefined : isUnasked ? row.value : await startableAgain(ports, row);
  if (run === 'overtaken') return;
  if (run !== undefined) {
    await ports.engine.start('runJob', jobInstanceOf(run), { runId: id });
    found.started.push(id);
    return;
  }
  const { cancel } = row.value;
  await endRunRow(ports, id, cancel === undefined ? lost(isOverdue) : cancelledResult(cancel));
  found.lost.push(id);
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
