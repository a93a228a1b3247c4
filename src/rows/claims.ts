import type { Claims } from '../ports/claims.js';
import { PolicyError, PromoterError, formatReference, parseReference } from '../oci/index.js';
import { destinationOf, matchRules, type TagName } from '../rules/match.js';
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
/** The promotion that owns a destination tag, its rule and its source. */
export type DestinationClaim = z.infer<typeof destinationClaimSchema>;

/** The current rules. */
export interface WithRules {
  rules: RulesSource;
}

interface Asked {
  promotionId: string;
  rule: Rule;
  source: TagName;
  destination: string;
}

function claimOf({ rule, promotionId, source: { registry, repository, tag } }: Asked): DestinationClaim {
  return { rule: rule.name, promotionId, source: formatReference({ registry, repository, tag }) };
}

/**
 * Claims a destination tag for a promotion. Succeeds if the tag has no claim, or if the rule of the earlier claim is
 * gone or has another destination now.
 * @throws PolicyError `DESTINATION_TAKEN`; PromoterError `ROW_CONTENDED` (transient)
 */
export async function claimDestination(ports: WithRules & StorePort<Claims>, asked: Asked): Promise<void> {
  const { destination } = asked;
  const ours = claimOf(asked);
  const { value: claim, version } = await ports.store.claimDestination(destination, ours);
  if (claim.promotionId === ours.promotionId) return;
  if (await stillLeadsThere(ports, claim, destination)) {
    throw new PolicyError(
      'DESTINATION_TAKEN',
      `${destination} is claimed by rule ${claim.rule}, source ${claim.source}; rule ${ours.rule} would write it, too, from ${ours.source}`,
      { remedy: 'Give one of the two rules another destination.' },
    );
  }
  if (!(await ports.store.replaceClaim(destination, ours, version))) {
    throw new PromoterError('ROW_CONTENDED', `another run changes the claim of ${destination}`, { transient: true });
  }
}

/** True if {@link claimDestination} would succeed. Writes nothing. */
export async function isDestinationFree(
  ports: Pick<Ports, 'rules'> & StorePort<Claims>,
  { promotionId, destination }: Pick<Asked, 'promotionId' | 'destination'>,
): Promise<boolean> {
  const claim = (await ports.store.getClaim(destination))?.value;
  if (claim === undefined || claim.promotionId === promotionId) return true;
  return !(await stillLeadsThere(ports, claim, destination));
}

async function stillLeadsThere(ports: WithRules, claim: DestinationClaim, destination: string): Promise<boolean> {
  const rules = await ports.rules.load();
  const { registry, repository, tag } = parseReference(claim.source);
  if (tag === undefined) return false;
  const source = { registry, repository, tag };
  return matchRules(rules, source).rules.some(
    (rule) =>
      rule.name === claim.rule &&
      rule.mode === 'enforce' &&
      formatReference(destinationOf(rule, source)) === destination,
  );
}
