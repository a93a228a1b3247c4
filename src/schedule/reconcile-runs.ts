import { PromoterError } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { RunSummary } from '../rows/run-row.js';
import { workInTurn } from './page-from.js';
import { reconcileJob, type JobPorts } from './reconcile-jobs.js';
import { isOfOneRow } from './scan.js';
import { sendLate } from './unsent-results.js';

/** Runs per page. */
const PAGE_RUNS = 100;
/** At most this many problems are logged, one line each. */
const MOST_PROBLEMS = 20;
/** The note with the position of the next tick, if there is more than one page. */
const NOTE = 'due-runs';

type RunsPorts = JobPorts & Pick<Ports, 'documents' | 'queues' | 'store'>;

/**
 * Ids of the runs that were handled. `started`: jobs started, for the first time or again. `lost`: orphaned jobs that
 * ended. `told`: result events sent.
 */
export interface ReconciledRuns {
  started: string[];
  lost: string[];
  told: string[];
  problems: string[];
}

/**
 * Compares open jobs with the engine, oldest first, and sends the result events that are still unsent. Safe to repeat,
 * and safe on several hosts at once. If nothing is due, it costs one request.
 * @param isOver no further page is read once this returns true
 */
export async function reconcileRuns(ports: RunsPorts, isOver: () => boolean = () => false): Promise<ReconciledRuns> {
  const found: ReconciledRuns = { started: [], lost: [], told: [], problems: [] };
  await workInTurn(
    ports.store,
    NOTE,
    isOver,
    (from) => ports.store.listDueRuns({ size: PAGE_RUNS, ...(from !== undefined && { from }) }),
    async (run) => {
      try {
        await reconcile(ports, run, found);
      } catch (error) {
        // A result event that cannot be sent must not block the jobs.
        if (!(error instanceof PromoterError) || (run.state !== 'ended' && !isOfOneRow(error))) throw error;
        if (found.problems.length < MOST_PROBLEMS)
          found.problems.push(`runId=${run.id}: ${error.code}: ${error.message}`);
      }
    },
  );
  return found;
}

async function reconcile(ports: RunsPorts, run: RunSummary, found: ReconciledRuns): Promise<void> {
  if (run.state === 'ended') {
    if (await sendLate(ports, run)) found.told.push(run.id);
    return;
  }
  const done = await reconcileJob(ports, run);
  if (done !== undefined) found[done].push(run.id);
}
