import { RegistryError, isRepository, type TagDetails } from '../oci/index.js';
import { isSourceRepository, matchRules } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';

const WILDCARD = /[*?[\]{}()!]/;

/** The rule's source repositories, sorted: as the rule names them, or out of the registry's catalog where it has wildcards. */
export async function repositoriesOf(
  rule: Rule,
  catalog: (registry: string) => Promise<readonly string[]>,
): Promise<string[]> {
  const { registry, repositories } = rule.source;
  const isListed =
    repositories.some((glob) => !glob.startsWith('!') && WILDCARD.test(glob)) ||
    repositories[0]?.startsWith('!') === true;
  // A name that none can have takes nothing.
  const found = new Set(isListed ? await catalog(registry) : repositories.filter(isRepository));
  return [...found].filter((repository) => isSourceRepository(rule, registry, repository)).sort();
}

export function isTaken(rule: Rule, repository: string, tag: string): boolean {
  return matchRules([rule], { registry: rule.source.registry, repository, tag }).rules.length > 0;
}

interface TagsOptions {
  signal: AbortSignal;
  /** After this one. */
  last?: string;
}

/** All tags of a repository, with their digests, whether the rule takes them or not; none where the repository isn't there (yet). */
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
