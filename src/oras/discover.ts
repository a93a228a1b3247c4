import { CopyError, type CallOptions, type Descriptor, type Digest, type ReadableRepository } from '../oci/index.js';

/** Levels of referrers that are discovered. `GRAPH_TOO_DEEP` */
const DISCOVER_DEPTH = 16;
/** Referrers in one tree. `GRAPH_TOO_WIDE` */
const DISCOVER_NODES = 100_000;
/** Lists of referrers that are asked for at once. */
export const LISTS_AT_ONCE = 32;

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
  /** Levels below the root, from 1; by default all of them. */
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
 * Finds the referrers of a manifest, and theirs, level by level; each list is asked for once.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`, `GRAPH_CYCLE`; what the store throws.
 */
export async function discoverTree(
  repository: ReadableRepository,
  root: Descriptor,
  options: DiscoverOptions = {},
): Promise<ReferrerTree> {
  const { artifactType, depth = Infinity, signal } = options;
  const filter = { ...(artifactType !== undefined && { artifactType }), ...(signal && { signal }) };
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
    await forEachAtOnce([...level.entries()], LISTS_AT_ONCE, async ([at, parent]) => {
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

/** A place in the tree, with the way up: what refers to one manifest may stand in several places. */
interface Placed {
  tree: ReferrerTree;
  above?: Placed;
}

/** Digests make a true circle impossible: a store that lists one has made it up. */
function refuseCircle(parent: Placed, listed: ReadonlySet<Digest>): void {
  for (let at: Placed | undefined = parent; at; at = at.above) {
    const { digest } = at.tree.descriptor;
    if (!listed.has(digest)) continue;
    throw new CopyError('GRAPH_CYCLE', `${digest} is listed as a referrer of itself, or of what refers to it`, {
      details: { digest },
      remedy: 'Look at fewer levels (--depth), and tell the registry’s operator.',
    });
  }
}

async function forEachAtOnce<T>(items: readonly T[], most: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
}
