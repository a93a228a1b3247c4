import { isSourceRepository } from '../promotion/match.js';
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
    for (const repository of repositories) if (!repository.startsWith('!')) found.add(repository);
  }
  return [...found].filter((repository) => isSourceRepository(rule, registry, repository)).sort();
}
