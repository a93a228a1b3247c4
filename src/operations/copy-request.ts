import { readAcceptedJob, type JobOf } from './job-schema.js';
import { InputError, PromoterError, parseReference, type Reference } from '../oci/index.js';
import type { RunRow } from '../rows/run-row.js';
import type { CopyRequest } from '../transfer/copy.js';

/** The copy of a run's job. @throws PromoterError `RUN_UNKNOWN` if the run copies nothing */
export function copyRequestOf(run: RunRow | undefined): CopyRequest {
  const input = run?.input;
  const job = input?.kind === 'job' ? readAcceptedJob(input.job) : undefined;
  if (job?.operation === 'copy') return copyRequestOfJob(job);
  throw new PromoterError('RUN_UNKNOWN', 'the run of this step is not a copy job, or its row is gone', {
    remedy: 'Send the job again, under another id.',
  });
}

/** @throws InputError `REFERENCE_INVALID` */
export function copyRequestOfJob(job: JobOf<'copy'>): CopyRequest {
  const source = parseReference(job.source);
  const { registry, repository, tag, moreTags = [], digest } = destinationOf(job, source.tag);
  return {
    source: { registry: source.registry, repository: source.repository },
    root: source.digest ?? source.tag ?? 'latest',
    recursive: job.recursive,
    excludeArtifactTypes: job.excludeArtifactTypes ?? [],
    destination: { registry, repository },
    tags: [...(tag === undefined ? [] : [tag]), ...moreTags],
    receipt: true,
    ...(digest !== undefined && { digest }),
    ...(job.platform !== undefined && { platform: job.platform }),
  };
}

/**
 * The destination of a copy. Without a tag and `tags`, it takes the source's tag. With a digest, the copy must have that digest, and only
 * `tags` are set. @throws InputError `REFERENCE_INVALID`
 */
function destinationOf(job: JobOf<'copy'>, sourceTag: string | undefined): Reference & { moreTags?: string[] } {
  const { tag, digest, ...name } = parseReference(job.destination);
  const moreTags = job.tags === undefined ? {} : { moreTags: job.tags };
  if (digest !== undefined) return { ...name, ...moreTags, digest };
  if (tag !== undefined) return { ...name, ...moreTags, tag };
  if (job.tags !== undefined) return { ...name, ...moreTags };
  if (sourceTag !== undefined) return { ...name, tag: sourceTag };
  throw new InputError('REFERENCE_INVALID', `neither ${job.source} nor ${job.destination} has a tag`, {
    remedy: 'Name the tag of the copy in "destination", or write "tags": [] for none.',
  });
}
