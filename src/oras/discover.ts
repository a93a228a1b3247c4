import {
  CopyError,
  mapConcurrently,
  type CallOptions,
  type Descriptor,
  type Digest,
  type ReadableRepository,
} from '../oci/index.js';

/** The most levels of referrers. `GRAPH_TOO_DEEP` */
const DISCOVER_DEPTH = 16;
/** The most referrers in one tree. `GRAPH_TOO_WIDE` */
const DISCOVER_NODES = 100_000;
/** Lists of referrers that are requested at once. */
export const LISTS_AT_ONCE = 32;

/** A manifest with its referrers, and theirs. */
export interface ReferrerTree {
  /** `registry/repository@digest`, or `path@digest` for a layout. */
  reference: string;
  descriptor: Descriptor;
  /** In the order of the store's list. */
  referrers: ReferrerTree[];
}

export interface DiscoverOptions extends CallOptions {
  /** Shows only referrers of this type, on every level. Referrers of a hidden referrer are not listed. */
  artifactType?: string | undefined;
  /** Levels below the root, from 1. Default: all. */
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
 * Lists the referrers of a manifest, and theirs, level by level. Each list is requested once. If a registry lists a
 * manifest below itself, the manifest is shown there without referrers, as in oras.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`; what the store throws.
 */
export async function discoverTree(
  repository: ReadableRepository,
  root: Descriptor,
  options: DiscoverOptions = {},
): Promise<ReferrerTree> {
  const { artifactType, depth = Infinity, signal } = options;
  const filter = { ...(artifactType !== undefined && { artifactType }), signal };
  const lists = new Map<Digest, Promise<Descriptor[]>>();
  const list = (digest: Digest): Promise<Descriptor[]> => {
    const listed = lists.get(digest) ?? repository.listReferrers(digest, filter);
    lists.set(digest, listed);
    return listed;
  };
  const treeOf = (descriptor: Descriptor): ReferrerTree => ({
    reference: `${repository.name}@${descriptor.digest}`,
    descriptor,
    referrers: [],
  });
  const top = treeOf(root);
  let count = 0;
  let level = [{ parent: top, above: new Array<Digest>() }];
  for (let reached = 1; level.length > 0 && reached <= depth; reached += 1) {
    if (reached > DISCOVER_DEPTH + 1) throw tooMuch('GRAPH_TOO_DEEP', root.digest, DISCOVER_DEPTH);
    const next = await mapConcurrently(level, LISTS_AT_ONCE, async ({ parent, above }) => {
      const listed = await list(parent.descriptor.digest);
      count += listed.length;
      if (count > DISCOVER_NODES) throw tooMuch('GRAPH_TOO_WIDE', root.digest, DISCOVER_NODES);
      parent.referrers = listed.map(treeOf);
      const path = [...above, parent.descriptor.digest];
      const followed = parent.referrers.filter(({ descriptor }) => !path.includes(descriptor.digest));
      return followed.map((referrer) => ({ parent: referrer, above: path }));
    });
    level = next.flat();
  }
  return top;
}
