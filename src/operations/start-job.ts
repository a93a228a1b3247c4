import type { JobInput } from './job-schema.js';
import { jobInstanceOf } from '../rows/job-instance.js';
import { newRunId } from '../rows/open-run.js';
import type { RunRow, TriggerCause } from '../rows/run-row.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import type { JobIds } from '../ports/job-ids.js';
import type { Runs } from '../ports/runs.js';

/** Opens the run of a job. If the id's row exists already, returns the run of the first job with that id. */
export async function openJob(
  ports: Pick<Ports, 'now'> & StorePort<Runs & JobIds>,
  job: JobInput,
  cause: Omit<TriggerCause, 'at'>,
): Promise<RunRow> {
  const openedAt = ports.now().toISOString();
  const runId = await ports.store.claimJob(job.id, newRunId(ports.now().getTime()));
  const row: RunRow = {
    id: runId,
    input: { kind: 'job', runId, job },
    state: 'pending',
    openedAt,
    trigger: { ...cause, at: openedAt },
  };
  if (await ports.store.insertRun(row)) return row;
  return (await ports.store.getRun(runId))?.value ?? row;
}

/** Opens the run of a job, and starts it unless it has started or ended. */
export async function startJob(
  ports: Pick<Ports, 'engine' | 'now'> & StorePort<Runs & JobIds>,
  job: JobInput,
  cause: Omit<TriggerCause, 'at'>,
): Promise<string> {
  const run = await openJob(ports, job, cause);
  if (run.state === 'pending') await ports.engine.start('runJob', jobInstanceOf(run), { runId: run.id });
  return run.id;
}
