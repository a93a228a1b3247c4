import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { isIndexMediaType } from '../manifest.js';
import { getOrMake } from '../memo.js';
import type { ReadableRepository } from '../repository.js';
import { allOrAbort } from '../concurrency.js';
import { Budget, REQUESTS_AT_ONCE } from './budget.js';
import { askedOf, missingOf, type Asked, type Expected, type Missing } from './missing.js';
import { walkInOrder, type GraphOptions, type OrderedGraph } from './plan.js';
import type { LeftOut } from './walk-context.js';

const NOTHING: OrderedGraph = { nodes: new Map(), leftOut: [], listedByRegistry: new Set(), ordered: [] };

/** The differences between source and destination, and the size of the source's graph. */
export interface Comparison extends Missing {
  /** Number of manifests in the source's graph. */
  manifestCount: number;
  /** Manifests that no other manifest of the graph lists or refers to. */
  tops: Descriptor[];
  /** Digests of all manifests in the graph. */
  digests: ReadonlySet<Digest>;
  /** Referrers that the source lists but that would not be copied. */
  leftOut: LeftOut[];
  /** Referrers that the source's registry lists itself and that the destination has, as the destination describes them. */
  onBothSides: ReadonlyMap<string, Descriptor>;
}

/**
 * Checks whether the destination has and lists everything in the source's graph. This is cheaper than a plan: a
 * referrer that the destination has and lists is not fetched, because a registry that accepted it has its blobs.
 * Indexes and their children are always fetched, so that no child and no subject is missed, and every list of referrers
 * is read on both sides. Additional content at the destination is not a difference.
 */
export async function compareGraphs(
  source: ReadableRepository,
  destination: ReadableRepository,
  root: Descriptor,
  options: GraphOptions = {},
): Promise<Comparison> {
  const asked = rememberAsked(askedOf(destination, new Budget(options.concurrency ?? REQUESTS_AT_ONCE)));
  const found = new Map<string, Descriptor>();
  const find: Asked['find'] = async (target, signal) => {
    if (options.isRootThere === true && target === root.digest) return root;
    const descriptor = await asked.find(target, signal);
    if (descriptor !== undefined) found.set(target, descriptor);
    return descriptor;
  };
  const isListed = async (subject: Digest, digest: Digest, signal: AbortSignal): Promise<boolean> =>
    (await asked.listed(subject, 'later', signal)).has(digest) ||
    (await asked.listed(subject, true, signal)).has(digest);
  // The requests about the root are always needed, so they run in parallel with the walk of the source.
  const askOfRoot = async (signal: AbortSignal): Promise<undefined> => {
    const listing = options.recursive === true ? asked.listed(root.digest, 'later', signal) : undefined;
    await Promise.all([find(root.digest, signal), listing]);
  };
  const [walked] = await allOrAbort<OrderedGraph | undefined>(options.signal, (signal) => [
    walkInOrder(
      source,
      root,
      { ...options, signal },
      {
        keepBytes: 0,
        keepManifestBytes: 0,
        isKnownLeaf: async ({ mediaType, digest }, subject, inner) =>
          !isIndexMediaType(mediaType) &&
          (await find(digest, inner)) !== undefined &&
          (await isListed(subject, digest, inner)),
      },
    ),
    askOfRoot(signal),
  ]);
  const { nodes, leftOut, listedByRegistry, ordered } = walked ?? NOTHING;
  // The subject comes from the manifest itself, because a stranger may have written the list.
  const expected = ordered.map(({ node: { descriptor, subject }, tags }): Expected => ({
    descriptor,
    ...(subject !== undefined && { subject }),
    ...(tags && { tags }),
  }));
  const needed = new Set(
    ordered.flatMap(({ node: { children, subject } }) => (subject ? [...children, subject] : children)),
  );
  return {
    tops: expected.flatMap(({ descriptor }) => (needed.has(descriptor.digest) ? [] : [descriptor])),
    ...(await missingOf(expected, { ...asked, find }, options.signal)),
    manifestCount: expected.length,
    digests: new Set(nodes.keys()),
    leftOut,
    onBothSides: new Map([...found].filter(([digest]) => listedByRegistry.has(digest as Digest))),
  };
}

/** Makes each request to a destination once. */
function rememberAsked(asked: Asked): Asked {
  const answers = new Map<string, ReturnType<Asked['find']>>();
  const lists = new Map<string, ReturnType<Asked['listed']>>();
  return {
    find: (target, signal) => getOrMake(answers, target, () => asked.find(target, signal)),
    listed: (subject, tagSchema, signal) =>
      getOrMake(lists, `${tagSchema} ${subject}`, () => asked.listed(subject, tagSchema, signal)),
  };
}
