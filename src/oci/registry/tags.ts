import { isRecord } from '../descriptor.js';
import { isDigest, type Digest } from '../digest.js';
import { RegistryError } from '../errors.js';
import type { CallOptions } from '../store.js';
import { apiUrl, scopesFor, type RepositoryContext } from './endpoint.js';
import { resolveManifest } from './manifests.js';
import {
  ACR_PAGE_ENTRIES,
  ENTRIES_AT_ONCE,
  listIn,
  NOT_SERVED,
  PAGE_ENTRIES,
  readPages,
  type Listing,
} from './pages.js';

export type ListOptions = CallOptions & { last?: string };

export interface TagDetailsOptions extends ListOptions {
  /** True: nothing at all where the registry has no list of tags with digests, instead of a request for each tag. */
  onlyPages?: boolean;
}

function query(entries: number, last: string | undefined): string {
  const parameters = new URLSearchParams({ n: String(entries), ...(last !== undefined && { last }) });
  return parameters.toString();
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags */
export async function* listTags(context: RepositoryContext, options: ListOptions = {}): AsyncGenerator<string> {
  const listing: Listing = {
    url: `${apiUrl(context, 'tags/list')}?${query(PAGE_ENTRIES, options.last)}`,
    scopes: scopesFor(context, ['pull']),
    name: context.name,
    absent: 'NAME_UNKNOWN',
    signal: options.signal,
  };
  for await (const page of readPages(context.endpoint, listing)) {
    for (const tag of listIn(page, 'tags', context.name)) if (typeof tag === 'string') yield tag;
  }
}

/** A tag, and where it points. */
export interface TagDetails {
  name: string;
  digest: Digest;
  /** RFC 3339, where the registry tells (ACR). */
  createdAt?: string;
  updatedAt?: string;
  /** False where the tag is locked against writing (ACR). */
  writable?: boolean;
}

/** @returns nothing for what is no tag with a digest */
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

/** Tags with digests by HEAD for each, a page's worth of requests at once. */
async function* resolveEach(context: RepositoryContext, options: ListOptions): AsyncGenerator<TagDetails> {
  let batch: string[] = [];
  const resolveBatch = async (): Promise<TagDetails[]> => {
    const found = await Promise.all(
      batch.map(async (name) => {
        try {
          return { name, digest: (await resolveManifest(context, name, options)).digest };
        } catch (error) {
          // Deleted since it was listed.
          if (error instanceof RegistryError && error.notFound) return undefined;
          throw error;
        }
      }),
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
 * Tags with their digests: by ACR's `_tags`, a page for a hundred of them, or else by listing and asking for each.
 * @see https://learn.microsoft.com/rest/api/containerregistry/tag/get-list
 */
export async function* listTagDetails(
  context: RepositoryContext,
  { onlyPages = false, ...options }: TagDetailsOptions = {},
): AsyncGenerator<TagDetails> {
  const { endpoint, repository, name } = context;
  if (endpoint.learnt.hasAcrLists === false) {
    if (!onlyPages) yield* resolveEach(context, options);
    return;
  }
  const listing: Listing = {
    url: `${endpoint.origin}/acr/v1/${repository}/_tags?${query(ACR_PAGE_ENTRIES, options.last)}`,
    scopes: scopesFor(context, ['metadata_read']),
    name,
    absent: 'NAME_UNKNOWN',
    signal: options.signal,
    otherStatuses: NOT_SERVED,
  };
  let known = false;
  try {
    for await (const page of readPages(endpoint, listing)) {
      if (page.status !== 200 || !Array.isArray(page.json.tags)) {
        // An unknown repository is 404 as well, but says so.
        if (page.status === 404 && !Array.isArray(page.json.errors)) endpoint.learnt.hasAcrLists = false;
        break;
      }
      known = true;
      yield* page.json.tags.flatMap(parseTagDetails);
    }
  } catch (error) {
    // A token for this scope was not to be had.
    const refused = error instanceof RegistryError && (error.info.status === 401 || error.info.status === 403);
    if (known || !refused) throw error;
  }
  if (!known && !onlyPages) yield* resolveEach(context, options);
}
