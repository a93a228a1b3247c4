import { CopyError, rememberReads, type Descriptor, type ReadableRepository } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import { CYCLONEDX_JSON } from '../sbom/index.js';
import { NOTARY_SIGNATURE } from '../signing/index.js';
import { classifyGraph } from './classify.js';
import { attachmentDifferences } from './differences.js';
import type { Ports } from '../ports/ports.js';

/** What is missing that a message names; of more it has the number. */
const NAMED = 5;

/**
 * Checks that what the rule attaches is at the destination. The copy takes along what the source lists, and in a source without the
 * referrers API anybody who may push can rewrite that list between our attachments and the copy.
 * @throws CopyError `EVIDENCE_LOST`, which names what is missing; as {@link classifyGraph}
 */
export async function checkArrivedEvidence(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  rule: Rule,
  destination: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
): Promise<void> {
  const travelling = withoutExcluded(rule);
  if (travelling.sbom.formats.length === 0 && travelling.sign.length === 0) return;
  const at = rememberReads(destination);
  const { images } = await classifyGraph(at, root, signal);
  const lacking = await attachmentDifferences(ports, travelling, at, images, signal);
  if (lacking.length === 0) return;
  const more = lacking.length > NAMED ? `; and ${lacking.length - NAMED} more` : '';
  const named = `${lacking.slice(0, NAMED).join('; ')}${more}`;
  throw new CopyError('EVIDENCE_LOST', `${destination.name}@${root.digest} arrived incomplete: ${named}`, {
    remedy:
      'Somebody rewrote the source’s list of referrers (a tag `sha256-…`), or deleted the attachment at the source or the destination: see who may push and delete there. The schedule tries again.',
  });
}

/** The rule without what it keeps from travelling: that is attached at the source, and stays there. */
function withoutExcluded(rule: Rule): Rule {
  if (rule.attachTo === 'destination') return rule;
  const excluded = rule.referrers.excludeArtifactTypes;
  return {
    ...rule,
    ...(excluded.includes(CYCLONEDX_JSON) && { sbom: { ...rule.sbom, formats: [] } }),
    ...(excluded.includes(NOTARY_SIGNATURE) && { sign: [] }),
  };
}
