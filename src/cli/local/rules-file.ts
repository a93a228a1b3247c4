import { resolve } from 'node:path';
import { ConfigurationError, InputError } from '../../oci/index.js';
import type { Rule } from '../../rules/rule.js';
import { isRulesBlob, rulesSource } from '../../rules-source.js';
import type { RulesSource } from '../../ports/rules-source.js';
import type { Io } from '../io.js';
import { textOf, type Values } from '../verb.js';

/**
 * The local rules: from `--rules` or `PROMOTION_RULES`.
 * @throws ConfigurationError `RULES_MISSING`
 */
export function rulesHere(values: Values, { env }: Pick<Io, 'env'>): RulesSource {
  const asked = textOf(values, 'rules');
  const setting = asked === undefined ? env.PROMOTION_RULES : resolve(asked);
  if (setting === undefined || setting === '' || isRulesBlob(setting)) {
    throw new ConfigurationError('RULES_MISSING', 'no rules document is given', {
      remedy: 'Give the path of a rules document with --rules (docs/reference/rules.md).',
    });
  }
  const unread = (): Promise<never> =>
    Promise.reject(new InputError('RULES_INVALID', 'on the command line, rules must be a file'));
  const name = asked === undefined ? 'PROMOTION_RULES' : '--rules';
  return rulesSource({ setting, name, root: process.cwd(), readBlob: unread, now: Date.now });
}

/**
 * All rules, or only the rule of `--rule`.
 * @throws InputError `RULE_UNKNOWN`
 */
export function chooseRules(rules: readonly Rule[], values: Values): readonly Rule[] {
  const name = textOf(values, 'rule');
  if (name === undefined) return rules;
  const chosen = rules.filter((rule) => rule.name === name);
  if (chosen.length > 0) return chosen;
  throw new InputError('RULE_UNKNOWN', `there is no rule ${JSON.stringify(name)}`, {
    remedy: `The rules are: ${rules.map((rule) => rule.name).join(', ') || 'none'}.`,
  });
}
