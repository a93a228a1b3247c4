import { destinationOf, matchRules, type TagName } from './match.js';
import type { Rule } from './rule.js';

/** Turns a glob into one name that it matches, close enough to detect cycles. */
function exampleOf(glob: string): string {
  return glob
    .replaceAll(/\[!?(?<first>[^\]])[^\]]*\]/g, '$<first>')
    .replaceAll(/\{(?<first>[^,}]*)[^}]*\}/g, '$<first>')
    .replaceAll('**', 'x/x')
    .replaceAll(/[*?]/g, 'x')
    .replaceAll(/[+@](?=\()|[()|]/g, '');
}

function* examples(rule: Rule): Generator<TagName> {
  for (const repository of rule.source.repositories.filter((glob) => !glob.startsWith('!'))) {
    for (const tag of rule.source.tags.filter((glob) => !glob.startsWith('!'))) {
      yield { registry: rule.source.registry, repository: exampleOf(repository), tag: exampleOf(tag) };
    }
  }
}

/**
 * Finds rules that feed each other for ever: starting with an example of what each rule matches, follows the
 * destinations until a rule repeats.
 * @returns the names of the rules in the cycle, the first one repeated at the end; undefined if there is none
 */
export function findCycle(rules: readonly Rule[]): string[] | undefined {
  for (const start of rules) {
    for (const example of examples(start)) {
      const found = follow(rules, start, example, []);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function follow(rules: readonly Rule[], rule: Rule, name: TagName, way: string[]): string[] | undefined {
  const next = [...way, rule.name];
  if (way.includes(rule.name)) return next;
  let destination: TagName;
  try {
    destination = destinationOf(rule, name);
  } catch {
    return undefined; // The example is not valid in this template. Real names are checked when they are used.
  }
  for (const fed of matchRules(rules, destination).rules) {
    const found = follow(rules, fed, destination, next);
    if (found !== undefined) return found;
  }
  return undefined;
}
