import {
  RegistryError,
  isDigest,
  joinPlans,
  mapConcurrently,
  planGraph,
  type CopyPlan,
  type Digest,
  type GraphOptions,
  type Repository,
} from '../oci/index.js';
import type { Ports } from '../ports/ports.js';

/** Attachments that are read side by side. */
const READ_AT_ONCE = 8;

/** The document with what a run has attached, or found, at its source. */
function nameOf(runId: string): string {
  return `plans/${runId}/attached.json`;
}

/** Keeps what a run has attached, or found, at its source, for its copy: the source's lists may learn of it later. */
export async function keepAttached(
  ports: Pick<Ports, 'documents'>,
  runId: string,
  digests: readonly Digest[],
): Promise<void> {
  if (digests.length === 0) return;
  await ports.documents.put('documents', nameOf(runId), Buffer.from(JSON.stringify(digests)));
}

/** What the run has attached or found; nothing if another version kept it. */
export async function attachedBy(ports: Pick<Ports, 'documents'>, runId: string): Promise<Digest[]> {
  const bytes = await ports.documents.get('documents', nameOf(runId));
  if (bytes === undefined) return [];
  const kept: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return Array.isArray(kept) ? kept.filter((each): each is Digest => typeof each === 'string' && isDigest(each)) : [];
}

/**
 * The plan of a graph, with what its run has attached, or found, and the source's lists do not show: a replica is late, or somebody else has
 * written the list since. What the source does not know yet is left out as `gone`.
 */
export async function withAttached(
  source: Repository,
  listed: CopyPlan,
  attached: readonly Digest[],
  options: GraphOptions,
): Promise<CopyPlan> {
  const known = new Set([...listed.manifests.map(({ descriptor }) => descriptor.digest), ...leftOutOf(listed)]);
  const unlisted = attached.filter((digest) => !known.has(digest));
  const more = await mapConcurrently(unlisted, READ_AT_ONCE, async (digest): Promise<CopyPlan> => {
    try {
      const root = await source.resolve(digest, { ...(options.signal && { signal: options.signal }) });
      const plan = await planGraph(source, root, { ...options, recursive: true });
      const type = plan.manifests.find(({ descriptor }) => descriptor.digest === digest)?.artifactType;
      const isExcluded = type !== undefined && options.excludeArtifactTypes?.includes(type) === true;
      return isExcluded ? { ...plan, manifests: [] } : plan;
    } catch (error) {
      if (!(error instanceof RegistryError && error.notFound)) throw error;
      return { ...listed, manifests: [], leftOut: [{ digest, reason: 'gone' }] };
    }
  });
  return joinPlans(listed, ...more);
}

function leftOutOf({ leftOut }: CopyPlan): Digest[] {
  return leftOut.map(({ digest }) => digest);
}
