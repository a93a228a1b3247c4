import type { Claims } from '../ports/claims.js';
import { PolicyError, PromoterError, formatReference, parseReference } from '../oci/index.js';
import { destinationOf } from '../rules/destination.js';
import { matchRules, type TagName } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import type { RulesSource } from '../ports/rules-source.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import { z } from 'zod';

export const destinationClaimSchema = z.object({
  rule: z.string(),
  promotionId: z.string(),
  source: z.string(),
});
/** Who owns a destination tag. */
export type DestinationClaim = z.infer<typeof destinationClaimSchema>;

/** The rules as they stand. */
export interface WithRules {
  rules: RulesSource;
}

interface Claim {
  promotionId: string;
  rule: Rule;
  source: TagName;
  destination: string;
}

function ownerOf({ rule, promotionId, source: { registry, repository, tag } }: Claim): DestinationClaim {
  return { rule: rule.name, promotionId, source: formatReference({ registry, repository, tag }) };
}

/**
 * A destination tag has one owner, a rule and a source. It is ours where nobody owns it, or where its owner's rule is gone or
 * no longer leads there.
 * @throws PolicyError `DESTINATION_TAKEN`
 */
export async function claimDestination(ports: WithRules & StorePort<Claims>, claim: Claim): Promise<void> {
  const ours = ownerOf(claim);
  const owner = await ports.store.claimDestination(claim.destination, ours);
  if (owner.value.promotionId === ours.promotionId) return;
  if (await stillLeadsThere(ports, owner.value, claim.destination)) {
    throw new PolicyError(
      'DESTINATION_TAKEN',
      `${claim.destination} belongs to rule ${owner.value.rule}, source ${owner.value.source}; rule ${ours.rule} would write it from ${ours.source}`,
      { remedy: 'Give one of the two another destination.' },
    );
  }
  if (!(await ports.store.replaceClaim(claim.destination, ours, owner.version))) {
    throw new PromoterError('ROW_CONTENDED', `the owner of ${claim.destination} changes just now`, { transient: true });
  }
}

/** Whether {@link claimDestination} would succeed: nobody else owns the tag by a rule that still leads there. */
export async function isDestinationFree(
  ports: Pick<Ports, 'rules'> & StorePort<Claims>,
  claim: Claim,
): Promise<boolean> {
  const owner = await ports.store.claimDestination(claim.destination, ownerOf(claim));
  return (
    owner.value.promotionId === claim.promotionId || !(await stillLeadsThere(ports, owner.value, claim.destination))
  );
}

async function stillLeadsThere(ports: WithRules, owner: DestinationClaim, destination: string): Promise<boolean> {
  const rules = await ports.rules.load();
  const { registry, repository, tag } = parseReference(owner.source);
  if (tag === undefined) return false;
  const source = { registry, repository, tag };
  return matchRules(rules, source).rules.some(
    (rule) =>
      rule.name === owner.rule &&
      rule.mode === 'enforce' &&
      formatReference(destinationOf(rule, source)) === destination,
  );
}
