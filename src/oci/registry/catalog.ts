import type { CallOptions } from '../repository.js';
import { askHeaders, type Endpoint } from './endpoint.js';
import { listIn, readPages, PAGE_ENTRIES } from './pages.js';
import { CATALOG_SCOPE } from './scopes.js';

/**
 * Lists the repositories of a registry, in its own order.
 * @see https://distribution.github.io/distribution/spec/api/#catalog
 */
export async function* listRepositories(
  endpoint: Endpoint,
  options: CallOptions & { last?: string | undefined } = {},
): AsyncGenerator<string> {
  const query = new URLSearchParams({
    n: String(PAGE_ENTRIES),
    ...(options.last !== undefined && { last: options.last }),
  });
  const name = endpoint.registry;
  const listing = {
    url: `${endpoint.origin}/v2/_catalog?${query.toString()}`,
    scopes: [CATALOG_SCOPE],
    name,
    signal: options.signal,
  };
  for await (const page of readPages(endpoint, listing)) {
    for (const repository of listIn(page, 'repositories', name)) if (typeof repository === 'string') yield repository;
  }
}

/**
 * Checks that the registry exists and accepts the credential.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
 */
export async function checkAccess(endpoint: Endpoint, options: CallOptions = {}): Promise<void> {
  await askHeaders(
    endpoint,
    {
      method: 'GET',
      url: `${endpoint.origin}/v2/`,
      kind: 'api',
      scopes: [],
      signal: options.signal,
    },
    { statuses: [200], what: endpoint.registry },
  );
}
