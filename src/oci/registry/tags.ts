import { isRecord } from '../descriptor.js';
import { isDigest, type Digest } from '../digest.js';
import { ifThere, PromoterError, RegistryError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { readAcrList } from './acr-lists.js';
import { apiUrl, scopesFor, type RepositoryContext } from './endpoint.js';
import { resolveManifest } from './manifests.js';
import { ENTRIES_AT_ONCE, listIn, PAGE_ENTRIES, readPages, type Listing } from './pages.js';

/** Options of a listing. `last`: only entries after this one. */
export type ListOptions = CallOptions & { last?: string | undefined };

/** Options for listing tags with their digests. */
export interface TagDetailsOptions extends ListOptions {
  /**
   * Returns nothing if the registry cannot list tags with digests, instead of one request for each tag. Default: false.
   */
  onlyPages?: boolean;
}

/**
 * Lists tags, in the registry's order.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export async function* listTags(context: RepositoryContext, options: ListOptions = {}): AsyncGenerator<string> {
  const { last } = options;
  const query = new URLSearchParams({ n: String(PAGE_ENTRIES), ...(last !== undefined && { last }) });
  const listing: Listing = {
    url: `${apiUrl(context, 'tags/list')}?${query.toString()}`,
    scopes: scopesFor(context, ['pull']),
    name: context.name,
    absent: 'NAME_UNKNOWN',
    signal: options.signal,
  };
  for await (const page of readPages(context.endpoint, listing)) {
    for (const tag of listIn(page, 'tags', context.name)) if (typeof tag === 'string') yield tag;
  }
}

/** A tag and the manifest that it points to. */
export interface TagDetails {
  name: string;
  digest: Digest;
  /** RFC 3339. Only if the registry reports it (ACR). */
  createdAt?: string;
  updatedAt?: string;
  /** False if the tag is locked against writing (ACR). */
  writable?: boolean;
}

/**
 * Parses an entry of ACR's list of tags.
 * @returns an empty list if it has no tag or no digest
 */
export function parseTagDetails(entry: unknown): TagDetails[] {
  if (!isRecord(entry) || typeof entry.name !== 'string' || typeof entry.digest !== 'string') return [];
  const { name, digest, createdTime, lastUpdateTime, changeableAttributes } = entry;
  if (!isDigest(digest)) return [];
  const writable = isRecord(changeableAttributes) ? changeableAttributes.writeEnabled : undefined;
  return [
    {
      name,
      digest,
      ...(typeof createdTime === 'string' && { createdAt: createdTime }),
      ...(typeof lastUpdateTime === 'string' && { updatedAt: lastUpdateTime }),
      ...(typeof writable === 'boolean' && { writable }),
    },
  ];
}

/** Lists tags and resolves each with HEAD, several at once. */
async function* resolveEach(context: RepositoryContext, options: ListOptions): AsyncGenerator<TagDetails> {
  let batch: string[] = [];
  const resolveBatch = async (): Promise<TagDetails[]> => {
    const found = await Promise.all(
      // A tag may be deleted after it was listed.
      batch.map((name) =>
        ifThere(async () => ({ name, digest: (await resolveManifest(context, name, options)).digest })),
      ),
    );
    return found.filter((details) => details !== undefined);
  };
  for await (const name of listTags(context, options)) {
    batch.push(name);
    if (batch.length < ENTRIES_AT_ONCE) continue;
    yield* await resolveBatch();
    batch = [];
  }
  yield* await resolveBatch();
}

/**
 * Lists tags with their digests: with ACR's `_tags`, a hundred for each request, or else by listing tags and resolving
 * each.
 * @see https://learn.microsoft.com/rest/api/containerregistry/tag/get-list
 */
export async function* listTagDetails(
  context: RepositoryContext,
  { onlyPages = false, ...options }: TagDetailsOptions = {},
): AsyncGenerator<TagDetails> {
  const query = options.last === undefined ? {} : { last: options.last };
  let isListed = false;
  try {
    for await (const tags of readAcrList(context, 'tags', parseTagDetails, query, options)) {
      isListed = true;
      yield* tags;
    }
  } catch (error) {
    const hasNone = error instanceof PromoterError && error.code === 'NO_ACR_LISTS';
    const isUnknown = error instanceof RegistryError && error.notFound;
    if (isListed || !(hasNone || isUnknown)) throw error;
    if (!onlyPages) yield* resolveEach(context, options);
  }
}
