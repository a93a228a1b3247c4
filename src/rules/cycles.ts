import { destinationOf } from './destination.js';
import { matchRules, type TagName } from './match.js';
import type { Rule } from './rule.js';

/** Turns a glob into one name that it matches, near enough to follow rules with. */
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
 * Rules that feed each other for ever, as the names on the way round; undefined where there are none. Examples of what each rule
 * takes are followed from destination to source; a rule that comes up twice on one way is a circle.
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
    return undefined; // The example is no valid name for this template; real names are checked when they come.
  }
  for (const fed of matchRules(rules, destination).rules) {
    const found = follow(rules, fed, destination, next);
    if (found !== undefined) return found;
  }
  return undefined;
}
