import type { JobInput } from '../inbox/job-input.js';
import { newRunId } from '../runs/run-id.js';
import type { RunRow, TriggerCause } from '../runs/rows.js';
import type { Ports } from '../steps/ports.js';

/**
 * Gives a job its run, and writes the run's row where it isn't there. A job whose id was seen keeps the run that it has: what
 * the first one asked for stands.
 */
export async function openJob(
  ports: Pick<Ports, 'store' | 'now'>,
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

/** The same, and sees that the run begins. */
export async function startJob(
  ports: Pick<Ports, 'store' | 'engine' | 'now'>,
  job: JobInput,
  cause: Omit<TriggerCause, 'at'>,
): Promise<string> {
  const { id, state } = await openJob(ports, job, cause);
  if (state === 'pending') await ports.engine.start('runJob', id, { runId: id });
  return id;
}
