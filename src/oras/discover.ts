import { CopyError, type CallOptions, type Descriptor, type Digest, type ReadableRepository } from '../oci/index.js';
import { ORAS_LIMITS } from './limits.js';

/** A manifest with all that refers to it. */
export interface ReferrerTree {
  /** `registry/repository@digest`, or `path@digest` for a layout. */
  reference: string;
  descriptor: Descriptor;
  /** In the order of the store's list. */
  referrers: ReferrerTree[];
}

export interface DiscoverOptions extends CallOptions {
  /** Shows only referrers of this type, on every level: what refers to one of another type is not looked for. */
  artifactType?: string;
  /** Levels below the root, from 1; as it comes all of them. */
  depth?: number;
}

function tooMuch(code: 'GRAPH_TOO_DEEP' | 'GRAPH_TOO_WIDE', digest: Digest, limit: number): CopyError {
  const what = code === 'GRAPH_TOO_DEEP' ? 'levels' : 'referrers';
  return new CopyError(code, `there are more than ${limit} ${what} below ${digest}`, {
    details: { digest, limit },
    remedy: 'Look at fewer levels (--depth).',
  });
}

/**
 * Finds the referrers of a manifest, and theirs, level by level.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`; what the store throws.
 */
export async function discoverTree(
  repository: ReadableRepository,
  root: Descriptor,
  options: DiscoverOptions = {},
): Promise<ReferrerTree> {
  const { artifactType, depth = Infinity, signal } = options;
  const filter = { ...(artifactType !== undefined && { artifactType }), ...(signal && { signal }) };
  const node = (descriptor: Descriptor): ReferrerTree => ({
    reference: `${repository.name}@${descriptor.digest}`,
    descriptor,
    referrers: [],
  });
  const tree = node(root);
  let count = 0;
  let level = [tree];
  for (let reached = 1; level.length > 0; reached += 1) {
    if (reached > depth) break;
    if (reached > ORAS_LIMITS.discoverDepth + 1)
      throw tooMuch('GRAPH_TOO_DEEP', root.digest, ORAS_LIMITS.discoverDepth);
    await forEachAtOnce(level, ORAS_LIMITS.discoverRequests, async (parent) => {
      const listed = await repository.listReferrers(parent.descriptor.digest, filter);
      count += listed.length;
      if (count > ORAS_LIMITS.discoverNodes) throw tooMuch('GRAPH_TOO_WIDE', root.digest, ORAS_LIMITS.discoverNodes);
      parent.referrers = listed.map(node);
    });
    level = level.flatMap((parent) => parent.referrers);
  }
  return tree;
}

async function forEachAtOnce<T>(items: readonly T[], most: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
}
