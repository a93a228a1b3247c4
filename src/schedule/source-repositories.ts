import { RegistryError, isRepository, type TagDetails } from '../oci/index.js';
import { isSourceRepository, matchRules } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';

const WILDCARD = /[*?[\]{}()!]/;

/**
 * The rule's source repositories, sorted: the names in the rule, or the matches in the registry's catalog if the rule
 * has wildcards.
 */
export async function repositoriesOf(
  rule: Rule,
  catalog: (registry: string) => Promise<readonly string[]>,
): Promise<string[]> {
  const { registry, repositories } = rule.source;
  const isListed =
    repositories.some((glob) => !glob.startsWith('!') && WILDCARD.test(glob)) ||
    repositories[0]?.startsWith('!') === true;
  // A pattern that is no valid repository name matches nothing.
  const found = new Set(isListed ? await catalog(registry) : repositories.filter(isRepository));
  return [...found].filter((repository) => isSourceRepository(rule, registry, repository)).sort();
}

export function isTaken(rule: Rule, repository: string, tag: string): boolean {
  return matchRules([rule], { registry: rule.source.registry, repository, tag }).rules.length > 0;
}

interface TagsOptions {
  signal: AbortSignal;
  /** Lists the tags after this one. */
  last?: string;
}

/**
 * Lists all tags of a repository with their digests, including those that the rule does not match. Yields nothing if
 * the repository does not exist (yet).
 */
export async function* everyTagOf(
  ports: Pick<Ports, 'listing'>,
  rule: Rule,
  repository: string,
  options: TagsOptions,
): AsyncGenerator<TagDetails> {
  try {
    yield* ports.listing.repository(rule.source.registry, repository).listTagDetails(options);
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
  }
}
