import { isRecord } from '../descriptor.js';
import { isDigest, type Digest } from '../digest.js';
import { answerError, PromoterError, RegistryError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { scopesFor, type RepositoryContext } from './endpoint.js';
import { ACR_PAGE_ENTRIES, listIn, NOT_SERVED, readPages, type Listing, type Page } from './pages.js';
import { parseTagDetails, type TagDetails } from './tags.js';
import { redactUrl } from './urls.js';

/** A tag and the time of its last change. */
export type ChangedTag = TagDetails & { updatedAt: string };

/** A manifest and the time of its last change. Untagged manifests, such as referrers, are listed too. */
export interface ChangedManifest {
  digest: Digest;
  /** RFC 3339. Compare it with `Date.parse`, not as text: ACR omits zeros at the end of the fraction. */
  updatedAt: string;
  mediaType?: string;
  /** The media type of the config blob, for an image or an artifact that has one. */
  configMediaType?: string;
  /** Empty for an untagged manifest. */
  tags: string[];
}

/**
 * Lists tags by the time of their last change, newest first, a hundred for each page and request. The next page is
 * requested when the caller continues.
 * @throws PromoterError `NO_ACR_LISTS` before the first page if the registry does not have this list, or not for this
 *   identity
 * @throws RegistryError `NAME_UNKNOWN` if the repository does not exist; `ANSWER_INVALID` if an entry has no time
 * @see https://learn.microsoft.com/rest/api/containerregistry/tag/get-list
 */
export function listNewestTags(context: RepositoryContext, options: CallOptions = {}): AsyncGenerator<ChangedTag[]> {
  return listNewest(context, 'tags', parseTagDetails, options);
}

/**
 * Lists manifests in the same way as {@link listNewestTags}.
 * @see https://learn.microsoft.com/rest/api/containerregistry/manifests/get-list
 */
export function listNewestManifests(
  context: RepositoryContext,
  options: CallOptions = {},
): AsyncGenerator<ChangedManifest[]> {
  return listNewest(context, 'manifests', parseManifestDetails, options);
}

async function* listNewest<T extends { updatedAt?: string }>(
  context: RepositoryContext,
  field: 'tags' | 'manifests',
  parse: (entry: unknown) => T[],
  { signal }: CallOptions,
): AsyncGenerator<(T & { updatedAt: string })[]> {
  const { endpoint, repository, name } = context;
  if (endpoint.learnt.hasAcrLists === false) throw noLists(name);
  const listing: Listing = {
    url: `${endpoint.origin}/acr/v1/${repository}/_${field}?n=${ACR_PAGE_ENTRIES}&orderby=timedesc`,
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
      yield listIn(page, field, name)
        .flatMap(parse)
        .map((entry) => timed(entry, page, name));
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

function timed<T extends { updatedAt?: string }>(entry: T, page: Page, name: string): T & { updatedAt: string } {
  const { updatedAt = '' } = entry;
  if (!Number.isNaN(Date.parse(updatedAt))) return { ...entry, updatedAt };
  const url = redactUrl(page.url);
  throw answerError('ANSWER_INVALID', `${name}: an entry of the registry's list has no valid time`, { url });
}

function parseManifestDetails(entry: unknown): (Omit<ChangedManifest, 'updatedAt'> & { updatedAt?: string })[] {
  if (!isRecord(entry) || typeof entry.digest !== 'string' || !isDigest(entry.digest)) return [];
  const { digest, lastUpdateTime, mediaType, configMediaType, tags } = entry;
  return [
    {
      digest,
      tags: Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : [],
      ...(typeof lastUpdateTime === 'string' && { updatedAt: lastUpdateTime }),
      ...(typeof mediaType === 'string' && { mediaType }),
      ...(typeof configMediaType === 'string' && { configMediaType }),
    },
  ];
}
