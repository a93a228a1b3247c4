import { writesTo } from './destination.js';
import { matchesGlobs } from './glob.js';
import type { Rule } from './rule.js';

/** Tags of the referrers tag schema and of cosign. They are never promoted; they travel with their subject. */
const DIGEST_TAG = /^sha256-[a-f0-9]{64}(?:\.(?:sig|att|sbom))?$/;

/** Returns the subject of a digest tag as `sha256:…`; undefined for any other tag. */
export function subjectOfDigestTag(tag: string): string | undefined {
  return DIGEST_TAG.test(tag) ? `sha256:${tag.slice('sha256-'.length, 'sha256-'.length + 64)}` : undefined;
}

export interface TagName {
  registry: string;
  repository: string;
  tag: string;
}

type Condition = 'registry' | 'repositories' | 'own destination' | 'tags';
const ORDER: readonly Condition[] = ['registry', 'repositories', 'own destination', 'tags'];

function firstFailure(rule: Rule, name: TagName): { condition: Condition; reason: string } | undefined {
  const fail = (condition: Condition, reason: string): { condition: Condition; reason: string } => ({
    condition,
    reason,
  });
  if (rule.source.registry !== name.registry)
    return fail('registry', `registry ${name.registry} is not ${rule.source.registry}`);
  if (!matchesGlobs(rule.source.repositories, name.repository)) {
    return fail('repositories', `repository ${name.repository} is not in ${rule.source.repositories.join(', ')}`);
  }
  if (writesTo(rule, name.registry, name.repository)) {
    return fail('own destination', `repository ${name.repository} is a destination of the rule itself`);
  }
  if (subjectOfDigestTag(name.tag) !== undefined)
    return fail('tags', `tag ${name.tag} names a referrer, which travels with its subject`);
  if (!matchesGlobs(rule.source.tags, name.tag))
    return fail('tags', `tag ${name.tag} is not in ${rule.source.tags.join(', ')}`);
  return undefined;
}

export interface Match {
  rules: Rule[];
  /** If no rule matches: the rule that came closest, and its first failed condition. */
  nearest?: string;
}

/** The rules whose source includes the tag. */
export function matchRules(rules: readonly Rule[], name: TagName): Match {
  const matched: Rule[] = [];
  let nearest: { rank: number; text: string } | undefined;
  for (const rule of rules) {
    const failure = firstFailure(rule, name);
    if (failure === undefined) {
      matched.push(rule);
      continue;
    }
    const rank = ORDER.indexOf(failure.condition);
    if (nearest === undefined || rank > nearest.rank) nearest = { rank, text: `rule ${rule.name}: ${failure.reason}` };
  }
  return matched.length > 0 ? { rules: matched } : { rules: [], nearest: nearest?.text ?? 'there are no rules' };
}

/** True if the rule's source includes this repository, for any tag. */
export function isSourceRepository(rule: Rule, registry: string, repository: string): boolean {
  return (
    rule.source.registry === registry &&
    matchesGlobs(rule.source.repositories, repository) &&
    !writesTo(rule, registry, repository)
  );
}
