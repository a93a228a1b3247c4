import { InputError, PromoterError } from '../../oci/index.js';
import type { Page } from '../../ports/page.js';
import type { RulesSource } from '../../ports/rules-source.js';
import type { NameGlobs } from '../../rows/lists.js';
import { isGlob, matchesGlobs, writesTo } from '../../rules/match.js';
import type { Rule } from '../../rules/rule.js';

type Names = NameGlobs & { globs?: NameGlobs };

/**
 * Reports a name in a filter that does not exist; otherwise an empty list would look like an answer. Checks only if the
 * list is empty, because rows may have names that are no longer in the rules.
 * @throws InputError `RULE_UNKNOWN`, `REPOSITORY_UNKNOWN`, `REGISTRY_UNKNOWN`, `DESTINATION_UNKNOWN`
 */
export async function refuseUnknownNames(
  { rules: source }: { rules: Pick<RulesSource, 'load'> },
  { rule, registry, repository, globs = {}, destination = globs.destination }: Names,
  { items, next }: Page<unknown>,
  from: string | undefined,
): Promise<void> {
  const hasNames = [rule, registry, repository, destination, globs.rule, globs.registry].some(
    (name) => name !== undefined,
  );
  if (items.length > 0 || next !== undefined || from !== undefined || !hasNames) return;
  const rules = await rulesOrNone(source);
  if (rules === undefined) return;
  const names = rules.map(({ name }) => name);
  const isUnknown = (asked: string | undefined, known: readonly string[]): asked is string =>
    asked !== undefined && !known.some((name) => matchesGlobs([asked], name));
  const askedRule = rule ?? globs.rule;
  if (isUnknown(askedRule, names)) {
    throw new InputError('RULE_UNKNOWN', `there is no rule ${askedRule}`, {
      remedy: `The rules are: ${names.join(', ') || 'none'}.`,
    });
  }
  const registries = [...new Set(rules.map((each) => each.source.registry))];
  const askedRegistry = registry ?? globs.registry;
  if (isUnknown(askedRegistry, registries)) {
    throw new InputError('REGISTRY_UNKNOWN', `no rule reads registry ${askedRegistry}`, {
      remedy: `The source registries are ${registries.join(', ') || 'none'}.`,
    });
  }
  if (destination !== undefined && !rules.some((each) => mayHaveDestination(each, destination))) {
    throw new InputError('DESTINATION_UNKNOWN', `no rule writes to ${destination}`, {
      remedy: `The destinations are ${rules.map((each) => each.destination.reference).join(', ') || 'none'}.`,
    });
  }
  const isRead = rules.some((each) => repository === undefined || matchesGlobs(each.source.repositories, repository));
  if (isRead) return;
  throw new InputError('REPOSITORY_UNKNOWN', `no rule matches repository ${repository ?? ''}`, {
    remedy: `The rules read ${rules.map((each) => each.source.repositories.join(', ')).join('; ')}.`,
  });
}

/** True if the rule can write to the destination. Of a glob, only the registry is compared. */
function mayHaveDestination(rule: Rule, destination: string): boolean {
  const [registry = '', ...path] = destination.split('/');
  if (isGlob(destination)) return matchesGlobs([registry], rule.destination.reference.split('/', 1)[0] ?? '');
  return writesTo(rule, registry, path.join('/').replace(/:[^:]*$/, ''));
}

/** Undefined if the rules cannot be read; `GET status` has the reason. */
async function rulesOrNone(source: Pick<RulesSource, 'load'>): Promise<readonly Rule[] | undefined> {
  try {
    return await source.load();
  } catch (error) {
    if (error instanceof PromoterError) return undefined;
    throw error;
  }
}
