import { createHash } from 'node:crypto';
import type { Rule } from './rule.js';

/**
 * Identifies everything in a rule that can change a promotion's outcome. 16 hex digits. Leaves out the deadline and the
 * triggers; also the source, because it does not change what happens to a tag that it matches.
 */
export function fingerprint({ mode, verify, sbom, sign, attachTo, referrers, destination }: Rule): string {
  return hash([mode, verify, sbom, sign, attachTo, referrers, destination]);
}

/** Identifies everything in a rule that requires a new full scan of its source. 16 hex digits. */
export function scanFingerprint(rule: Rule): string {
  return hash([fingerprint(rule), rule.source, rule.existing]);
}

/** True if the rule demands evidence. */
export function demandsEvidence({ verify }: Pick<Rule, 'verify'>): boolean {
  return verify.signatures.length > 0;
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
