import { copyArtifact, type CopyArtifactOptions, type CopyReceipt } from '../oras/index.js';
import type { CopyPlan, CopyProgress } from '../oci/index.js';
import type { copy } from './copy.schema.js';
import {
  digestOf,
  platformOf,
  tagOrDigestOf,
  tagsOf,
  type Opened,
  type Operation,
  type OperationResult,
} from './operation.js';

/** Both sides of a copy, and repositories from which the destination can mount blobs. */
export interface OpenedCopy extends Pick<CopyArtifactOptions, 'mountFrom' | 'checkBlobs' | 'concurrency'> {
  source: Opened;
  destination: Opened;
}

export type CopyEvent = CopyProgress | { state: 'planned'; plan: CopyPlan };

/** Copies an artifact in one call, for a command. A job does the same in steps that survive a crash (run-job.ts). */
export const run: Operation<typeof copy, undefined, CopyEvent, OperationResult<CopyReceipt>, OpenedCopy> = async (
  { source, destination, ...how },
  { recursive, excludeArtifactTypes, tags, ...input },
  _files,
  { signal, event },
) => {
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
};
