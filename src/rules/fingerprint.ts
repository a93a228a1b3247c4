import { createHash } from 'node:crypto';
import type { Rule } from './rule.js';

/**
 * Tells two versions of a rule apart by all that can change what a promotion comes to. 16 hex digits. Deadline and triggers are not
 * in it, nor is the source: which tag a promotion has is fixed, so that a source that takes in more runs nothing again.
 */
export function fingerprint({ mode, verify, sbom, sign, attachTo, referrers, destination }: Rule): string {
  return hash([mode, verify, sbom, sign, attachTo, referrers, destination]);
}

/** Tells apart two versions of a rule that want another look at all tags of its source. 16 hex digits. */
export function scanFingerprint(rule: Rule): string {
  return hash([fingerprint(rule), rule.source, rule.existing]);
}

/** True if the rule demands evidence of others. */
export function demandsEvidence({ verify }: Pick<Rule, 'verify'>): boolean {
  return verify.signatures.length > 0;
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
