import { copyArtifact, type CopyArtifactOptions, type CopyReceipt } from '../oras/index.js';
import type { CopyPlan, CopyProgress } from '../oci/index.js';
import type { copy } from './copy.schema.js';
import {
  digestOf,
  platformOf,
  tagOrDigestOf,
  tagsOf,
  type Opened,
  type OperationResult,
  type Progress,
} from './operation.js';
import type { InputOf } from './operation-schema.js';

/** Both sides of a copy, and repositories from which the destination can mount blobs. */
export interface OpenedCopy extends Pick<CopyArtifactOptions, 'mountFrom' | 'checkBlobs' | 'concurrency'> {
  source: Opened;
  destination: Opened;
}

export type CopyEvent = CopyProgress | { state: 'planned'; plan: CopyPlan };

/** Copies an artifact in one call, for a command. A job does the same in steps that survive a crash (run-job.ts). */
export async function run(
  { source, destination, ...how }: OpenedCopy,
  { recursive, excludeArtifactTypes, tags, ...input }: InputOf<typeof copy>,
  _files: undefined,
  { signal, event }: Progress<CopyEvent>,
): Promise<OperationResult<CopyReceipt>> {
  const receipt = await copyArtifact(source.repository, tagOrDigestOf(source), destination.repository, {
    ...how,
    ...platformOf(input),
    ...digestOf(destination),
    recursive,
    tags: tagsOf(destination, tags),
    ...(excludeArtifactTypes && { excludeArtifactTypes }),
    signal,
    ...(event && { onProgress: event, onPlanned: (plan) => event({ state: 'planned', plan }) }),
  });
  return { output: receipt, digest: receipt.root.digest };
}
