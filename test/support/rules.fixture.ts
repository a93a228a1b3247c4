import { ruleSchema, type Rule } from '../../src/rules/rule.js';

/** A rule as the schema completes it. */
export function rule(changes: Record<string, unknown> = {}): Rule {
  return ruleSchema.parse({
    name: 'staging',
    source: { registry: 'r.azurecr.io', repositories: ['samples/**'] },
    destination: { reference: 'r.azurecr.io/staging/{repository}:{tag}' },
    ...changes,
  });
}
