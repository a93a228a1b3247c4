import { readAcceptedJob } from './accepted-job.js';
import type { JobInput, JobOf } from './job-schema.js';
import { InputError, parseReference, type Reference } from '../oci/index.js';
import { untilWritten } from '../rows/until-written.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { beginJobContract } from './contracts.js';
import { enforceJobPolicy } from './policy.js';
import type { Ports } from '../ports/ports.js';

/**
 * Reads the job and checks it against what jobs may do: whoever can write to the queue does not thereby own the registry. Answers
 * `none` for a run that has ended.
 */
export async function beginJobStep(
  ports: Pick<Ports, 'store' | 'jobPolicy' | 'rules'>,
  input: InputOf<typeof beginJobContract>,
): Promise<ResultOf<typeof beginJobContract>> {
  const job = await takeJob(ports, input.runId);
  if (job === undefined) return { operation: 'none' };
  await enforceJobPolicy(ports, job);
  if (job.operation !== 'promote' && job.operation !== 'copy') return { operation: 'run', name: job.operation };
  const source = parseReference(job.source);
  if (job.operation === 'promote') {
    if (source.tag === undefined) {
      throw new InputError('REFERENCE_INVALID', `${job.source} has no tag: a promotion is of a tag`, {
        remedy: 'Name the tag that is to be promoted.',
      });
    }
    return {
      operation: 'promote',
      source: { registry: source.registry, repository: source.repository, tag: source.tag },
    };
  }
  const { registry, repository, tag, moreTags, digest } = destinationOf(job, source.tag);
  return {
    operation: 'copy',
    source: { registry: source.registry, repository: source.repository },
    root: source.digest ?? source.tag ?? 'latest',
    recursive: job.recursive,
    destination: { registry, repository, ...(tag !== undefined && { tag }) },
    ...(moreTags !== undefined && { moreTags }),
    ...(digest !== undefined && { digest }),
    ...(job.platform !== undefined && { platform: job.platform }),
    ...(job.excludeArtifactTypes !== undefined && { excludeArtifactTypes: job.excludeArtifactTypes }),
    ...(job.credential !== undefined && { credential: job.credential }),
  };
}

/**
 * Marks the run as running; @returns its job, undefined where there is nothing to do: the row has ended, or was removed since. The
 * engine starts an id over that has ended, so a start that comes late is refused here.
 */
async function takeJob({ store }: Pick<Ports, 'store'>, runId: string): Promise<JobInput | undefined> {
  const taken = await untilWritten(runId, async () => {
    const run = await store.getRun(runId);
    if (run === undefined || run.value.input.kind !== 'job' || run.value.state === 'ended') return { job: undefined };
    const { state, input } = run.value;
    if (state === 'pending' && !(await store.replaceRun({ ...run.value, state: 'running' }, run.version))) {
      return undefined;
    }
    return { job: readAcceptedJob(input.job) };
  });
  return taken.job;
}

/**
 * Where a copy goes. Without a tag, and without a word of tags, it takes the source's; a digest is what it must be, and no tag then
 * but those that are told. @throws InputError `REFERENCE_INVALID`
 */
function destinationOf(job: JobOf<'copy'>, sourceTag: string | undefined): Reference & { moreTags?: string[] } {
  const { tag, digest, ...name } = parseReference(job.destination);
  const moreTags = job.tags === undefined ? {} : { moreTags: job.tags };
  if (digest !== undefined) return { ...name, ...moreTags, digest };
  if (tag !== undefined) return { ...name, ...moreTags, tag };
  if (job.tags !== undefined) return { ...name, ...moreTags };
  if (sourceTag !== undefined) return { ...name, tag: sourceTag };
  throw new InputError('REFERENCE_INVALID', `neither ${job.source} nor ${job.destination} has a tag`, {
    remedy: 'Name the tag that the copy is to have in "destination", or "tags": [] for none.',
  });
}
