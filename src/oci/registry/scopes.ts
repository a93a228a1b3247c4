/** Exactly what one kind of request needs, as the token endpoint wants it said. */
export function repositoryScope(
  repository: string,
  ...actions: ('pull' | 'push' | 'delete' | 'metadata_read')[]
): string {
  return `repository:${repository}:${actions.join(',')}`;
}

/** Listing the catalog. The star is that scope's only action, not a wildcard of ours. */
export const CATALOG_SCOPE = 'registry:catalog:*';

/** Scopes in one order and merged by resource, so that the same need is the same cache entry. */
export function mergeScopes(scopes: readonly string[]): string[] {
  const actions = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':');
    if (colon < 1) continue;
    const resource = scope.slice(0, colon);
    const merged = actions.get(resource) ?? new Set<string>();
    for (const action of scope.slice(colon + 1).split(',')) if (action !== '') merged.add(action);
    actions.set(resource, merged);
  }
  return [...actions].map(([resource, merged]) => `${resource}:${[...merged].sort().join(',')}`).sort();
}

/**
 * The scopes that a challenge names, without wildcards over repositories: registries with attribute-based access refuse
 * those (acr-cli#501), and nothing here needs one.
 */
export function challengedScopes(scope: string | undefined): string[] {
  return (scope ?? '')
    .split(' ')
    .filter((text) => text !== '' && (text === CATALOG_SCOPE || !text.includes('*')))
    .slice(0, 16);
}
