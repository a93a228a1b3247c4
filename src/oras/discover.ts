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
  artifactType?: string;
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
 * Lists the referrers of a manifest, and theirs, level by level. Each list is requested once.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`, `GRAPH_CYCLE`; what the store throws.
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
  const place = (descriptor: Descriptor, above?: Placed): Placed => ({
    tree: { reference: `${repository.name}@${descriptor.digest}`, descriptor, referrers: [] },
    ...(above && { above }),
  });
  const top = place(root);
  let count = 0;
  let level = [top];
  for (let reached = 1; level.length > 0; reached += 1) {
    if (reached > depth) break;
    if (reached > DISCOVER_DEPTH + 1) throw tooMuch('GRAPH_TOO_DEEP', root.digest, DISCOVER_DEPTH);
    const next: Placed[][] = level.map(() => []);
    await mapConcurrently([...level.entries()], LISTS_AT_ONCE, async ([at, parent]) => {
      const listed = await list(parent.tree.descriptor.digest);
      count += listed.length;
      if (count > DISCOVER_NODES) throw tooMuch('GRAPH_TOO_WIDE', root.digest, DISCOVER_NODES);
      refuseCircle(parent, new Set(listed.map(({ digest }) => digest)));
      const below = listed.map((descriptor) => place(descriptor, parent));
      parent.tree.referrers = below.map(({ tree }) => tree);
      next[at] = below;
    });
    level = next.flat();
  }
  return top.tree;
}

/** A node of the tree with its ancestors: one referrer may occur in several places. */
interface Placed {
  tree: ReferrerTree;
  above?: Placed;
}

/** A real cycle is impossible with digests: a registry that lists one is wrong. */
function refuseCircle(parent: Placed, listed: ReadonlySet<Digest>): void {
  for (let at: Placed | undefined = parent; at; at = at.above) {
    const { digest } = at.tree.descriptor;
    if (!listed.has(digest)) continue;
    throw new CopyError('GRAPH_CYCLE', `${digest} is listed as a referrer of itself or of one of its referrers`, {
      details: { digest },
      remedy: 'Look at fewer levels (--depth), and tell the registry’s operator.',
    });
  }
}
