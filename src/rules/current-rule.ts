import { InputError } from '../oci/index.js';
import { destinationOf } from './destination.js';
import { matchRules, type TagName } from './match.js';
import type { Rule } from './rule.js';

/**
 * Finds a rule by name in the present rules. Undefined if it is gone, no longer matches the tag, or has no valid
 * destination for it.
 */
export function currentRule(rules: readonly Rule[], name: string, source: TagName): Rule | undefined {
  const rule = rules.find((each) => each.name === name);
  if (rule === undefined || matchRules([rule], source).rules.length === 0) return undefined;
  try {
    destinationOf(rule, source);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return undefined;
  }
  return rule;
}
