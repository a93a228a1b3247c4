import { PromoterError } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { RunSummary } from '../rows/run-row.js';
import { workInTurn } from './page-from.js';
import { reconcileJob, type JobPorts } from './reconcile-jobs.js';
import { isOfOneRow } from './scan.js';
import { sendLate } from './unsent-results.js';

/** Runs of a page. */
const PAGE_RUNS = 100;
/** Problems that are told, a line each. */
const MOST_PROBLEMS = 20;
/** Where the next tick continues, if there is more than a page of such runs. */
const NOTE = 'due-runs';

type RunsPorts = JobPorts & Pick<Ports, 'documents' | 'queues' | 'store'>;

/** Run ids of jobs that were started, for the first time or once more, and of those that have ended; of result events that were sent; and what went wrong. */
export interface ReconciledRuns {
  started: string[];
  lost: string[];
  told: string[];
  problems: string[];
}

/**
 * Compares open jobs with the engine, the oldest first, and sends the result events that were not sent. May be done any number of times, and
 * by several at once. If nothing is due, it is one request.
 * @param isOver no further page then
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
        // What keeps one result event from being sent keeps no job waiting.
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
