import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { isIndexMediaType } from '../manifest.js';
import type { ReadableRepository } from '../store.js';
import { allOrAbort } from './all.js';
import { Budget, REQUESTS_AT_ONCE } from './budget.js';
import { listedBy, missingOf, type Asked, type Expected, type Missing } from './missing.js';
import { orderFromLeaves } from './order.js';
import { ARTIFACT_STREAMING, type GraphOptions } from './plan.js';
import { resolveIfThere } from './resolve-if-there.js';
import { onSide } from './side.js';
import type { LeftOut, Walked } from './walk-context.js';
import { walkGraph } from './walk.js';

const NOTHING: Walked = { nodes: new Map(), leftOut: [] };

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
  const concurrency = options.concurrency ?? REQUESTS_AT_ONCE;
  const requests = new Budget(concurrency);
  const answers = new Map<string, Promise<Descriptor | undefined>>();
  if (options.isRootThere === true) answers.set(root.digest, Promise.resolve(root));
  const find = (target: string, signal: AbortSignal): Promise<Descriptor | undefined> => {
    const answer =
      answers.get(target) ??
      onSide('destination', 'resolve', () => resolveIfThere(destination, target, requests, signal));
    answers.set(target, answer);
    return answer;
  };
  const lists = new Map<string, Promise<Descriptor[]>>();
  const listReferrers: Asked['listReferrers'] = (digest, call) => {
    const key = `${call?.tagSchema} ${digest}`;
    const list = lists.get(key) ?? destination.listReferrers(digest, call);
    lists.set(key, list);
    return list;
  };
  const shown = new Map<string, Promise<Set<Digest>>>();
  const shownBy = (subject: Digest, tagSchema: true | 'later', signal: AbortSignal): Promise<Set<Digest>> => {
    const key = `${tagSchema} ${subject}`;
    const digests = shown.get(key) ?? listedBy({ listReferrers }, subject, requests, signal, tagSchema);
    shown.set(key, digests);
    return digests;
  };
  const isListed = async (subject: Digest, digest: Digest, signal: AbortSignal): Promise<boolean> =>
    (await shownBy(subject, 'later', signal)).has(digest) || (await shownBy(subject, true, signal)).has(digest);
  const recursive = options.recursive ?? false;
  // The requests about the root are always needed, so they run in parallel with the walk of the source.
  const askOfRoot = async (signal: AbortSignal): Promise<undefined> => {
    const listing = recursive ? listedBy({ listReferrers }, root.digest, requests, signal, 'later') : undefined;
    await Promise.all([find(root.digest, signal), listing]);
  };
  const [walked] = await allOrAbort<Walked | undefined>(options.signal, (signal) => [
    walkGraph(source, root, {
      recursive,
      artifactsOnly: options.artifactsOnly ?? false,
      excludeArtifactTypes: options.excludeArtifactTypes ?? [ARTIFACT_STREAMING],
      concurrency,
      keepBytes: 0,
      keepManifestBytes: 0,
      signal,
      ...(options.onWalked && { onWalked: options.onWalked }),
      isKnownLeaf: async ({ mediaType, digest }, subject, inner) =>
        !isIndexMediaType(mediaType) &&
        (await find(digest, inner)) !== undefined &&
        (await isListed(subject, digest, inner)),
    }),
    askOfRoot(signal),
  ]);
  const { nodes, leftOut } = walked ?? NOTHING;
  const ordered = orderFromLeaves(nodes, root.digest);
  const tags = new Map<Digest, string[]>();
  for (const { digestTags } of ordered) {
    for (const { tag, digest } of digestTags) tags.set(digest, [...(tags.get(digest) ?? []), tag]);
  }
  // The subject comes from the manifest itself, because a stranger may have written the list.
  const expected = ordered.map(({ descriptor, subject }): Expected => {
    const digestTags = tags.get(descriptor.digest);
    return { descriptor, ...(subject !== undefined && { subject }), ...(digestTags && { tags: digestTags }) };
  });
  const needed = new Set(ordered.flatMap(({ children, subject }) => (subject ? [...children, subject] : children)));
  return {
    tops: expected.flatMap(({ descriptor }) => (needed.has(descriptor.digest) ? [] : [descriptor])),
    ...(await missingOf(expected, { find, listReferrers }, requests, options.signal)),
    manifestCount: expected.length,
    digests: new Set(nodes.keys()),
    leftOut,
  };
}
