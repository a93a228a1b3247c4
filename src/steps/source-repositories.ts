import { RegistryError, isRepository, type TagDetails } from '../oci/index.js';
import { isSourceRepository, matchRules } from '../promotion/match.js';
import type { Rule } from '../promotion/rule.js';
import type { Ports } from './ports.js';

/** The rule's source repositories, sorted: as the rule names them, or out of the registry's catalog where it has wildcards. */
export async function repositoriesOf(
  ports: Pick<Ports, 'listing'>,
  rule: Rule,
  signal: AbortSignal,
): Promise<string[]> {
  const wildcard = /[*?[\]{}()!]/;
  const { registry, repositories } = rule.source;
  const found = new Set<string>();
  if (
    repositories.some((glob) => !glob.startsWith('!') && wildcard.test(glob)) ||
    repositories[0]?.startsWith('!') === true
  ) {
    for await (const repository of ports.listing.registry(registry).listRepositories({ signal })) found.add(repository);
  } else {
    // A name that none can have takes nothing.
    for (const repository of repositories) if (isRepository(repository)) found.add(repository);
  }
  return [...found].filter((repository) => isSourceRepository(rule, registry, repository)).sort();
}

/** The tags of a repository that the rule takes, with their digests; none where the repository isn't there (yet). */
export async function* tagsOf(
  ports: Pick<Ports, 'listing'>,
  rule: Rule,
  repository: string,
  options: { signal: AbortSignal; last?: string },
): AsyncGenerator<TagDetails> {
  const { registry } = rule.source;
  try {
    for await (const listed of ports.listing.repository(registry, repository).listTagDetails(options)) {
      if (matchRules([rule], { registry, repository, tag: listed.name }).rules.length > 0) yield listed;
    }
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
  }
}
