import { readAcceptedJob } from './job-schema.js';
import type { JobInput } from './job-schema.js';
import { InputError, parseReference } from '../oci/index.js';
import { changeRun } from '../rows/row-writes.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { beginJobContract } from './contracts.js';
import { copyRequestOfJob } from './copy-request.js';
import { enforceJobPolicy } from './policy.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

/**
 * Reads the job and checks whether the app allows it: write access to the queue does not imply access to the registry.
 * Returns `none` if the run has ended.
 */
export async function beginJobStep(
  ports: Pick<Ports, 'jobPolicy' | 'rules'> & StorePort<Runs>,
  input: InputOf<typeof beginJobContract>,
): Promise<ResultOf<typeof beginJobContract>> {
  const job = await takeJob(ports, input.runId);
  if (job === undefined) return { operation: 'none' };
  await enforceJobPolicy(ports, job);
  if (job.operation !== 'promote' && job.operation !== 'copy') return { operation: 'run', name: job.operation };
  if (job.operation === 'copy') {
    // The steps of the copy parse this again. Here, an invalid reference is refused early.
    copyRequestOfJob(job);
    return { operation: 'copy' };
  }
  const { registry, repository, tag } = parseReference(job.source);
  if (tag === undefined) {
    throw new InputError('REFERENCE_INVALID', `${job.source} has no tag; only tags can be promoted`, {
      remedy: 'Name the tag to promote.',
    });
  }
  return { operation: 'promote', source: { registry, repository, tag } };
}

/**
 * Marks the run as running. The engine starts an ended instance again, so a late start is refused here.
 * @returns the job; undefined if the row has ended or was removed
 */
async function takeJob({ store }: StorePort<Runs>, runId: string): Promise<JobInput | undefined> {
  const run = await changeRun(store, runId, (row) =>
    row.state === 'pending' && row.input.kind === 'job' ? { ...row, state: 'running' } : undefined,
  );
  return run?.input.kind === 'job' && run.state !== 'ended' ? readAcceptedJob(run.input.job) : undefined;
}
