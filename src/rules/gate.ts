import type { SignaturePolicy } from './rule.js';

/** What was found when one signature on the image was held against one policy. */
export type Finding =
  | { verdict: 'passed'; signedBy: string; signature: string }
  /** It is there and it is not good, or not of somebody we trust. */
  | { verdict: 'rejected'; code: string; reason: string; signature: string }
  /** It could not be checked. What can't be decided is not passed. */
  | { verdict: 'inconclusive'; code: string; reason: string; signature: string };

export type GateDecision =
  { passed: true; evidence: { signedBy: string; signature: string }[] } | { passed: false; reasons: string[] };

/** Gate 1: every policy of the rule must be satisfied by a signature of somebody else's. */
export function decideGate(
  policies: readonly SignaturePolicy[],
  findings: readonly (readonly Finding[])[],
): GateDecision {
  const evidence: { signedBy: string; signature: string }[] = [];
  const reasons: string[] = [];
  for (const [index, policy] of policies.entries()) {
    const found = findings[index] ?? [];
    const good = found.find((finding) => finding.verdict === 'passed');
    if (good !== undefined) evidence.push({ signedBy: good.signedBy, signature: good.signature });
    else if (found.length === 0) reasons.push(`no ${policy.format} signature by ${policy.identities.join(' or ')} yet`);
    else {
      for (const finding of found) {
        if (finding.verdict !== 'passed') reasons.push(`${finding.signature}: ${finding.code}: ${finding.reason}`);
      }
    }
  }
  return reasons.length === 0 ? { passed: true, evidence } : { passed: false, reasons };
}
