import { ifThere, parseReference, rememberReads } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { classifyGraph } from '../evidence/classify.js';
import { attachmentDifferences, graphDifferences, withResolved } from '../evidence/differences.js';
import { hashOfList, listSignatures } from '../evidence/signature-checks.js';
import type { Ports } from '../ports/ports.js';

export type LookPorts = Pick<Ports, 'registries' | 'documents' | 'signer' | 'now'>;

/**
 * Compares one promotion without a run: source and destination with all referrers, and our SBOMs and signatures. If it
 * was refused for missing evidence, checks whether the evidence changed.
 * @returns true if a run would have something to do
 */
export async function hasDifference(
  ports: LookPorts,
  rule: Rule,
  row: PromotionRow,
  signal: AbortSignal,
): Promise<boolean> {
  const { source, state, last } = row;
  const from = rememberReads(ports.registries.repository(source.registry, source.repository));
  const root = await ifThere(() => from.resolve(source.tag, { signal }));
  // The tag was deleted or moved without an event. A run finds out and updates the row.
  if (root === undefined || root.digest !== last?.digest) return true;
  if (state === 'refused') return hashOfList(await listSignatures(from, root, signal)) !== last.evidence;
  const to = parseReference(row.destination);
  const destination = rememberReads(ports.registries.repository(to.registry, to.repository));
  const { differences, onBothSides } = await graphDifferences(rule, from, destination, root, signal);
  if (differences.length > 0) return true;
  const { images } = await classifyGraph(from, root, signal);
  const at = withResolved(rule.attachTo === 'source' ? from : destination, onBothSides);
  return (await attachmentDifferences(ports, rule, at, images, signal)).length > 0;
}
