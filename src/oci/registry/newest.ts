import { isRecord } from '../descriptor.js';
import { isDigest, type Digest } from '../digest.js';
import { answerError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { acrListUrl, readAcrList } from './acr-lists.js';
import type { RepositoryContext } from './endpoint.js';
import { parseTagDetails, type TagDetails } from './tags.js';

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
  options: CallOptions,
): AsyncGenerator<(T & { updatedAt: string })[]> {
  for await (const entries of readAcrList(context, field, parse, { orderby: 'timedesc' }, options)) {
    yield entries.map((entry) => {
      const { updatedAt = '' } = entry;
      if (!Number.isNaN(Date.parse(updatedAt))) return { ...entry, updatedAt };
      const why = `${context.name}: an entry of the registry's list has no valid time`;
      throw answerError('ANSWER_INVALID', why, { url: acrListUrl(context, field) });
    });
  }
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
