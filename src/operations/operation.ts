import type { JobInput, JobOf } from './job-schema.js';
import { parseReference, type BlobRepository, type Descriptor, type Digest, type PromoterError } from '../oci/index.js';
import { parsePlatform, selectPlatform, toGoDescriptor, type WantedPlatform } from '../oras/index.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';

/** What the operations of jobs work with. */
export type OperationPorts = Pick<
  Ports,
  'registries' | 'listing' | 'store' | 'documents' | 'files' | 'lease' | 'signer' | 'sbom' | 'jobPolicy' | 'now'
>;

/** One operation of one job. */
export interface OperationCall<J extends JobInput = JobInput> extends StepCall {
  ports: OperationPorts;
  runId: string;
  job: J;
}

/** What an operation has done. */
export interface OperationResult {
  /** JSON, for whoever asked. */
  output: unknown;
  digest?: Digest;
  /** The output is kept, and the job ends with this. */
  refusal?: PromoterError;
}

/** Its result, or that it wants to be called again after a pause. */
export type OperationReply = OperationResult | { later: number };

export type Operation<O extends JobInput['operation']> = (call: OperationCall<JobOf<O>>) => Promise<OperationReply>;

/** What a job's reference leads to. */
export interface Target {
  name: { registry: string; repository: string };
  /** As the registry's client has it: single blobs can be named. */
  repository: BlobRepository;
  tag?: string;
  digest?: Digest;
}

export function targetOf(ports: Pick<Ports, 'listing'>, reference: string): Target {
  const { registry, repository, tag, digest } = parseReference(reference);
  return {
    name: { registry, repository },
    repository: ports.listing.repository(registry, repository),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** The digest counts where there are both. */
export function tagOrDigestOf({ tag, digest }: Target): string {
  return digest ?? tag ?? 'latest';
}

/** A job names platforms in full; there is no machine that it could mean. */
export function platformOf({ platform }: { platform?: string }): { platform?: WantedPlatform } {
  return platform === undefined ? {} : { platform: parsePlatform(platform, '') };
}

/** The manifest that a job means: that of a tag or digest, or one platform of it. */
export async function resolveTarget(
  target: Target,
  job: { platform?: string },
  signal: AbortSignal,
): Promise<Descriptor> {
  const named = await target.repository.resolve(tagOrDigestOf(target), { signal });
  const { platform } = platformOf(job);
  return platform === undefined ? named : selectPlatform(target.repository, named, platform, { signal });
}

/** A descriptor in an output, after the reference it can be had by. */
export function described(name: string, descriptor: Descriptor): Record<string, unknown> {
  return { reference: `${name}@${descriptor.digest}`, ...toGoDescriptor(descriptor) };
}
