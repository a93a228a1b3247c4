import type { SignaturePolicy } from './rule.js';

/** The result of checking one signature of the image against one policy. */
export type Finding =
  | { verdict: 'passed'; signedBy: string; signature: string }
  /** The signature is invalid, or its signer is not trusted. */
  | { verdict: 'rejected'; code: string; reason: string; signature: string }
  /** The signature could not be checked, which does not count as passed. */
  | { verdict: 'inconclusive'; code: string; reason: string; signature: string };

export type GateDecision =
  { passed: true; evidence: { signedBy: string; signature: string }[] } | { passed: false; reasons: string[] };

/** Decides the evidence gate: each policy of the rule needs a valid signature of somebody else. */
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
