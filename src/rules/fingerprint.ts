import { createHash } from 'node:crypto';
import type { Rule } from './rule.js';

/** Tells two versions of a rule apart. 16 hex digits. */
export function ruleHash(rule: Rule): string {
  return createHash('sha256').update(JSON.stringify(rule)).digest('hex').slice(0, 16);
}

/** Tells two evidence policies apart; undefined where the rule demands no evidence. 16 hex digits. */
export function evidencePolicyHash({ verify }: Pick<Rule, 'verify'>): string | undefined {
  if (verify.signatures.length === 0) return undefined;
  return createHash('sha256').update(JSON.stringify(verify)).digest('hex').slice(0, 16);
}
