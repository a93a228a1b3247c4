import { PromoterError } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { RunResult, RunRow, RunSummary } from '../rows/run-row.js';
import { workInTurn } from './pages.js';
import { isRowError, isolated } from './scan.js';
import { endRunRow } from '../rows/run-end.js';
import { JOB_MS, jobInstanceOf } from '../rows/job-instance.js';
import type { Versioned } from '../ports/versioned.js';
import { isSafeToRepeat } from '../operations/policy.js';
import { OVERDUE_MS } from '../rows/reconcile.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';
import { type ResultEventPorts, sendResultEvent } from '../promotions/close-run.js';

/** Runs per page. */
const PAGE_RUNS = 100;
/** The note with the position of the next tick, if there is more than one page. */
const NOTE = 'due-runs';

type RunsPorts = JobPorts & Pick<Ports, 'documents' | 'queues' | 'store'>;

/**
 * Ids of the runs that were handled. `started`: jobs started, for the first time or again. `orphaned`: orphaned
 * jobs that were ended. `sent`: result events sent.
 */
export interface ReconciledRuns {
  started: string[];
  orphaned: string[];
  sent: string[];
  problems: string[];
}

/**
 * Compares open jobs with the engine, oldest first, and sends the result events that are still unsent. Safe to repeat,
 * and safe on several hosts at once. If nothing is due, it costs one request.
 * @param isOver no further page is read once this returns true
 */
export async function reconcileRuns(ports: RunsPorts, isOver: () => boolean = () => false): Promise<ReconciledRuns> {
  const found: ReconciledRuns = { started: [], orphaned: [], sent: [], problems: [] };
  await workInTurn(
    ports.store,
    NOTE,
    isOver,
    (from) => ports.store.listDueRuns({ size: PAGE_RUNS, from }),
    async (run) => {
      // A result event that cannot be sent must not block the jobs.
      const isOwn = run.state === 'ended' ? (error: unknown) => error instanceof PromoterError : isRowError;
      await isolated(found, `runId=${run.id}`, () => reconcile(ports, run, found), isOwn);
    },
  );
  return found;
}

async function reconcile(ports: RunsPorts, run: RunSummary, found: ReconciledRuns): Promise<void> {
  if (run.state === 'ended') {
    if (await sendLate(ports, run)) found.sent.push(run.id);
    return;
  }
  const done = await reconcileJob(ports, run);
  if (done !== undefined) found[done].push(run.id);
}

type JobPorts = Pick<Ports, 'engine' | 'now'> & StorePort<Runs>;

/** A job that was opened more recently is left to the caller that opened it. Milliseconds. */
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
async function reconcileJob(ports: JobPorts, listed: RunSummary): Promise<'started' | 'orphaned' | undefined> {
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
  await endRunRow(ports, id, jobLost(isOverdue));
  return 'orphaned';
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

function jobLost(isOverdue: boolean): RunResult {
  return {
    outcome: 'failed',
    code: 'RUN_LOST',
    reason: isOverdue
      ? 'the job was still open two days after the longest time that a job may take'
      : 'the orchestration of the job is gone or ended without a result',
    remedy: 'Check what the job has done, then submit it again with another id.',
  };
}

/** How long a run has to send its result event itself, in milliseconds. After that the schedule sends it. */
export const RESULT_EVENT_MS = 60_000;

/**
 * Sends the result event of a run that finished without sending it, for example because its host died.
 * @returns true if it sent it
 */
async function sendLate(ports: ResultEventPorts, { id, finishedAt }: RunSummary): Promise<boolean> {
  if (ports.now().getTime() - Date.parse(finishedAt ?? '') < RESULT_EVENT_MS) return false;
  return sendResultEvent(ports, id);
}
