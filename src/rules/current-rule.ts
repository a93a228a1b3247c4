import { InputError } from '../oci/index.js';
import { destinationOf } from './destination.js';
import { matchRules, type TagName } from './match.js';
import type { Rule } from './rule.js';

/**
 * The rule of that name as it now stands; undefined where there is none any more, where it no longer takes the tag, and where it
 * can make no destination of it.
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
