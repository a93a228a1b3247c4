import { PromoterError, RegistryError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { scopesFor, type RepositoryContext } from './endpoint.js';
import { listIn, NOT_SERVED, readPages, type Listing } from './pages.js';

/** Entries for each page of ACR's own lists. */
const ACR_PAGE_ENTRIES = 100;

/** The URL of one of ACR's own lists. */
export function acrListUrl({ endpoint, repository }: RepositoryContext, field: 'tags' | 'manifests'): string {
  return `${endpoint.origin}/acr/v1/${repository}/_${field}`;
}

/**
 * Reads one of ACR's own lists of a repository, a hundred entries for each page and request. The next page is requested
 * when the caller continues.
 * @param parse returns an empty list for an entry that is of no use
 * @throws PromoterError `NO_ACR_LISTS` before the first page if the registry does not have this list, or not for this
 *   identity
 * @throws RegistryError `NAME_UNKNOWN` if the repository does not exist
 */
export async function* readAcrList<T>(
  context: RepositoryContext,
  field: 'tags' | 'manifests',
  parse: (entry: unknown) => T[],
  query: Readonly<Record<string, string>>,
  { signal }: CallOptions,
): AsyncGenerator<T[]> {
  const { endpoint, name } = context;
  if (endpoint.learnt.hasAcrLists === false) throw noLists(name);
  const parameters = new URLSearchParams({ n: String(ACR_PAGE_ENTRIES), ...query });
  const listing: Listing = {
    url: `${acrListUrl(context, field)}?${parameters.toString()}`,
    scopes: scopesFor(context, ['metadata_read']),
    name,
    absent: 'NAME_UNKNOWN',
    signal,
  };
  let pages = 0;
  try {
    for await (const page of readPages(endpoint, listing)) {
      // Some registries answer any path with a web page.
      if (pages === 0 && !Array.isArray(page.json[field])) throw noLists(name);
      pages += 1;
      yield listIn(page, field, name).flatMap(parse);
    }
  } catch (error) {
    if (pages > 0 || !(error instanceof RegistryError) || !NOT_SERVED.includes(error.info.status)) throw error;
    const { status, registryCodes } = error.info;
    if (registryCodes.includes('NAME_UNKNOWN')) throw error;
    if (status === 404) endpoint.learnt.hasAcrLists = false;
    throw noLists(name, error);
  }
}

function noLists(name: string, cause?: unknown): PromoterError {
  return new PromoterError(
    'NO_ACR_LISTS',
    `${name}: the registry does not list recent changes, or this identity may not read them`,
    {
      cause,
    },
  );
}
