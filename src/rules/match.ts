import picomatch from 'picomatch';
import type { Rule } from './rule.js';
import { InputError, parseReference } from '../oci/index.js';

/**
 * Matches globs as rules use them: `*` stays within one path segment, `**` crosses segments, and a leading `!`
 * excludes. A list that starts with an exclusion includes everything else. Case-sensitive.
 */
export function matchesGlobs(globs: readonly string[], text: string): boolean {
  let matched = globs[0]?.startsWith('!') ?? false;
  for (const glob of globs) {
    const takesAway = glob.startsWith('!');
    if (takesAway === matched && isMatch(takesAway ? glob.slice(1) : glob, text)) matched = !takesAway;
  }
  return matched;
}

/** Characters with a meaning in a glob; neither repositories, tags nor names of rules have them. */
const GLOB_CHARACTER = /[*?[\](){}!|]/;

export function isGlob(text: string): boolean {
  return GLOB_CHARACTER.test(text);
}

/** The prefix that all names have that match the glob. */
export function globPrefix(glob: string): string {
  const [prefix = ''] = glob.split(GLOB_CHARACTER, 1);
  return prefix;
}

const compiled = new Map<string, (text: string) => boolean>();
const MOST_COMPILED = 1000;

function isMatch(glob: string, text: string): boolean {
  let matcher = compiled.get(glob);
  if (matcher === undefined) {
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    // `dot`: in repositories and tags, `*` also matches names that begin with a dot.
    matcher = picomatch(glob, { dot: true, nonegate: true, strictSlashes: true });
    compiled.set(glob, matcher);
  }
  return matcher(text);
}

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

/**
 * Returns a rule's destination for one source tag.
 * @throws InputError `REFERENCE_INVALID` if the result is not a reference with a tag
 */
export function destinationOf(rule: Rule, source: Omit<TagName, 'registry'>): TagName {
  const text = rule.destination.reference.replaceAll('{repository}', source.repository).replaceAll('{tag}', source.tag);
  const { registry, repository, tag } = parseReference(text);
  return { registry, repository, tag: tag ?? source.tag };
}

/** The repositories that the template can produce, for any source tag. */
function repositoryPattern(rule: Rule): { registry: string; pattern: RegExp } {
  const template = rule.destination.reference;
  const slash = template.indexOf('/');
  const path = template.slice(slash + 1);
  const colon = path.lastIndexOf(':');
  const repository = colon < 0 ? path : path.slice(0, colon);
  const pattern = repository
    .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
    .replaceAll('{repository}', '.+')
    .replaceAll('{tag}', '[^/]+');
  return { registry: template.slice(0, slash), pattern: new RegExp(`^${pattern}$`) };
}

/**
 * True if the rule can write to this repository. Such a repository is never part of the rule's own source, or `**` to
 * `staging/{repository}` would feed itself.
 */
export function writesTo(rule: Rule, registry: string, repository: string): boolean {
  const template = repositoryPattern(rule);
  return template.registry === registry && template.pattern.test(repository);
}
