import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';

interface Node {
  children: readonly Digest[];
  subject?: Digest;
  referrers: readonly Digest[];
  digestTags: readonly { digest: Digest }[];
}

/** A referrer that was met in the list of something that it doesn't refer to, with what it does refer to. */
export interface Misplaced {
  descriptor: Descriptor;
  subject: Digest;
}

/** What was left out and belongs to the graph all the same. */
export interface Overlooked {
  digest: Digest;
  /** Absent for an index's child, which must be there. */
  descriptor?: Descriptor;
  /** In whose list it stands rightly. */
  referrerOf?: Digest;
}

/**
 * Each manifest is visited by the way that comes first: one that a list named wrongly is left out by that way, and may be an
 * index's child, under a digest tag, a subject, or in the list of what it does refer to.
 */
export function findOverlooked(
  nodes: ReadonlyMap<Digest, Node>,
  misplaced: ReadonlyMap<Digest, Misplaced>,
): Overlooked[] {
  const needed = new Set<Digest>();
  const children = new Set<Digest>();
  for (const node of nodes.values()) {
    for (const digest of node.children) if (!nodes.has(digest)) children.add(digest);
    for (const { digest } of node.digestTags) needed.add(digest);
    if (node.subject !== undefined) needed.add(node.subject);
  }
  const lists = new Map<Digest, ReadonlySet<Digest>>();
  const isListed = (subject: Digest, digest: Digest): boolean => {
    const list = lists.get(subject) ?? new Set(nodes.get(subject)?.referrers);
    lists.set(subject, list);
    return list.has(digest);
  };
  const found: Overlooked[] = [...children].map((digest) => ({ digest }));
  for (const [digest, { descriptor, subject }] of misplaced) {
    if (nodes.has(digest) || children.has(digest)) continue;
    if (isListed(subject, digest)) found.push({ digest, descriptor, referrerOf: subject });
    else if (needed.has(digest)) found.push({ digest, descriptor });
  }
  return found;
}
