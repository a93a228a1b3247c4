import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { getOrMake } from '../memo.js';

interface Node {
  children: readonly Digest[];
  subject?: Digest;
  referrers: readonly Digest[];
  digestTags: readonly { digest: Digest }[];
}

/** A referrer that a list names although its manifest refers to another subject. */
export interface Misplaced {
  descriptor: Descriptor;
  subject: Digest;
}

/** A manifest that was left out but belongs to the graph. */
export interface Overlooked {
  digest: Digest;
  /** Absent for the child of an index, which must exist. */
  descriptor?: Descriptor;
  /** The subject that it really refers to. */
  referrerOf?: Digest;
}

/**
 * Finds manifests that were left out wrongly. Each manifest is visited once, by the first path that reaches it. If that
 * path is a list that names it wrongly, it is left out, although it may also be the child of an index, a digest tag's
 * target, a subject, or a referrer in the right list.
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
  const isListed = (subject: Digest, digest: Digest): boolean =>
    getOrMake(lists, subject, () => new Set(nodes.get(subject)?.referrers)).has(digest);
  const found: Overlooked[] = [...children].map((digest) => ({ digest }));
  for (const [digest, { descriptor, subject }] of misplaced) {
    if (nodes.has(digest) || children.has(digest)) continue;
    if (isListed(subject, digest)) found.push({ digest, descriptor, referrerOf: subject });
    else if (needed.has(digest)) found.push({ digest, descriptor });
  }
  return found;
}
