import { isDigest, parseReference } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Check } from './explanation.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { NOTARY_SIGNATURE, isNotarySignature } from '../signing/index.js';
import type { Ports } from '../ports/ports.js';

/**
 * Checks whether the destination lists a signature that the rule requires. Returns `there` also if the rule requires
 * none and the registry answered.
 * @throws the error of a registry that does not answer
 */
export async function explainEvidence(
  ports: Pick<Ports, 'registries'>,
  { destination, last }: PromotionRow,
  rule: Rule,
  signal: AbortSignal,
): Promise<Check> {
  const { registry, repository } = parseReference(destination);
  if (last?.digest === undefined || !isDigest(last.digest)) return { state: 'there' };
  const listed = await ports.registries.repository(registry, repository).listReferrers(last.digest, {
    artifactType: NOTARY_SIGNATURE,
    signal,
  });
  const isDemanded = rule.sign.length > 0 && !rule.referrers.excludeArtifactTypes.includes(NOTARY_SIGNATURE);
  return isDemanded && !listed.some(isNotarySignature) ? { state: 'missing' } : { state: 'there' };
}
