import type { Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import { GRAPH_DEPTH, tooDeep, type Walked, type WalkedNode } from './walk-context.js';

/** The manifests that must exist before this one: its children, and its subject if that is in the graph. */
function needsOf(node: WalkedNode, nodes: Walked['nodes']): Digest[] {
  return node.subject !== undefined && nodes.has(node.subject) ? [...node.children, node.subject] : node.children;
}

/**
 * Sorts the manifests of a graph from the leaves up: children before their index, subjects before their referrers. The
 * same graph always gives the same order.
 * @throws CopyError `GRAPH_CYCLE`, `GRAPH_TOO_DEEP`
 */
export function orderFromLeaves(nodes: Walked['nodes'], root: Digest): WalkedNode[] {
  const ordered: WalkedNode[] = [];
  const done = new Set<Digest>();
  const open = new Set<Digest>();

  const place = (digest: Digest): void => {
    const node = nodes.get(digest);
    if (!node || done.has(digest)) return;
    if (open.has(digest)) {
      throw new CopyError('GRAPH_CYCLE', `${digest} contains itself`, { details: { digest, path: [...open] } });
    }
    if (open.size > GRAPH_DEPTH) throw tooDeep(digest, digest);
    open.add(digest);
    for (const needed of needsOf(node, nodes)) place(needed);
    open.delete(digest);
    done.add(digest);
    ordered.push(node);
  };

  place(root);
  // Referrers of a manifest follow everything that was placed with it. The list grows during this loop.
  for (const node of ordered) {
    for (const digest of node.referrers) place(digest);
    for (const { digest } of node.digestTags) place(digest);
  }
  return ordered;
}
