import type { Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import { type Walked, type WalkedNode, GRAPH_DEPTH } from './walk-context.js';

/** What must be there before a manifest is: what it lists, and its subject as far as that is in the graph. */
function needsOf(node: WalkedNode, nodes: Walked['nodes']): Digest[] {
  return node.subject !== undefined && nodes.has(node.subject) ? [...node.children, node.subject] : node.children;
}

/**
 * The manifests of a graph from the leaves up: children before their index, subjects before their referrers. The same graph
 * gives the same order.
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
      throw new CopyError('GRAPH_CYCLE', `${digest} is part of itself`, { details: { digest, path: [...open] } });
    }
    if (open.size > GRAPH_DEPTH) {
      throw new CopyError('GRAPH_TOO_DEEP', `${digest} is over ${GRAPH_DEPTH} levels deep`, {
        details: { digest, limit: GRAPH_DEPTH },
      });
    }
    open.add(digest);
    for (const needed of needsOf(node, nodes)) place(needed);
    open.delete(digest);
    done.add(digest);
    ordered.push(node);
  };

  place(root);
  // What refers to a manifest comes after all that was placed with it; the list grows while it is walked.
  for (const node of ordered) {
    for (const digest of node.referrers) place(digest);
    for (const { digest } of node.digestTags) place(digest);
  }
  return ordered;
}
