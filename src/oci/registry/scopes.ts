/** The scope for one kind of request, in the form that token endpoints expect. */
export function repositoryScope(
  repository: string,
  ...actions: ('pull' | 'push' | 'delete' | 'metadata_read')[]
): string {
  return `repository:${repository}:${actions.join(',')}`;
}

/** The scope for listing the catalog. The star is the name of its only action, not a wildcard. */
export const CATALOG_SCOPE = 'registry:catalog:*';

/** Sorts scopes and merges those of one resource, so that equal needs share one cached token. */
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
 * The scopes in a challenge, without wildcards for repositories: registries with attribute-based access refuse those
 * (acr-cli#501), and they are never needed here.
 */
export function challengedScopes(scope: string | undefined): string[] {
  return (scope ?? '')
    .split(' ')
    .filter((text) => text !== '' && (text === CATALOG_SCOPE || !text.includes('*')))
    .slice(0, 16);
}
