import {
  ConfigurationError,
  InputError,
  RegistryError,
  parsePlan,
  planGraph,
  type CopyPlan,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';
import { parsePlatform, selectPlatform } from '../oras/index.js';
import { noteDigest } from '../runs/run-digest.js';
import type { InputOf, ResultOf, planCopyContract } from './contracts.js';
import { resolveTag } from './observe.js';
import type { Ports, StepCall } from './ports.js';

/** Plans the copy of a graph with its referrers, and keeps the plan as a document. */
export async function planCopyStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'store'>,
  input: InputOf<typeof planCopyContract>,
  { signal, progress }: StepCall,
): Promise<ResultOf<typeof planCopyContract>> {
  const source = ports.registries.repository(input.source.registry, input.source.repository);
  if (input.tag !== undefined) {
    const standing = await resolveTag(ports, { ...input.source, tag: input.tag }, signal);
    if (standing?.digest !== input.root) return { state: 'superseded' };
  }
  const named = await resolveRoot(source, input, signal);
  const root =
    input.platform === undefined
      ? named
      : await selectPlatform(source, named, parsePlatform(input.platform, ''), { signal });
  await noteDigest(ports, input.runId, root.digest);
  const plan = await planGraph(source, root, {
    recursive: input.recursive,
    excludeArtifactTypes: input.excludeArtifactTypes,
    signal,
  });
  const name = `plans/${input.runId}.json`;
  await ports.documents.put('documents', name, Buffer.from(JSON.stringify(plan)));
  const manifests = plan.manifests.length;
  const { blobCount: blobs, sizeBytes: bytes } = plan;
  progress.text(`${manifests} manifests, ${blobs} blobs, ${bytes} bytes`);
  const { mediaType, digest, size } = root;
  return { state: 'planned', plan: name, root: { mediaType, digest, size }, manifests, blobs, bytes };
}

/** @throws InputError `SOURCE_NOT_FOUND` where a job asks for what isn't there; a promotion's was there just now. */
async function resolveRoot(
  source: ReadableRepository,
  { root, tag }: InputOf<typeof planCopyContract>,
  signal: AbortSignal,
): Promise<Descriptor> {
  try {
    return await source.resolve(root, { signal });
  } catch (error) {
    if (tag !== undefined || !(error instanceof RegistryError && error.notFound)) throw error;
    throw new InputError('SOURCE_NOT_FOUND', `${source.name} has no ${root}`, {
      cause: error,
      remedy: 'Push it first, or correct the reference.',
    });
  }
}

/** Reads a kept plan. @throws ConfigurationError `PLAN_MISSING` */
export async function readPlan(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPlan> {
  const bytes = await ports.documents.get('documents', name);
  if (bytes === undefined) {
    throw new ConfigurationError('PLAN_MISSING', `the plan ${name} is not kept any more`, {
      remedy: 'Ask for the promotion again: the next run plans anew. Leave the container "documents" to the app.',
    });
  }
  return parsePlan(Buffer.from(bytes).toString('utf8'));
}
