import { createHash } from 'node:crypto';
import { parseObject } from '../descriptor.js';
import { answerError } from '../errors.js';
import { askWhole, follow, type Endpoint, type WholeAnswer } from './endpoint.js';
import { nextLink } from './link.js';
import { redactUrl } from './urls.js';

/** Entries that are requested for each page. */
export const PAGE_ENTRIES = 1000;
/** Statuses of a registry that does not serve this path, or not to this identity. */
export const NOT_SERVED = [401, 403, 404, 405];
/** Maximum concurrent requests if each entry of a page needs one. */
export const ENTRIES_AT_ONCE = 16;

/** Maximum bytes of a JSON answer other than a manifest: tags, catalog, tokens. `TOO_LARGE` */
export const ANSWER_BYTES = 4 * 1024 * 1024;
/** Maximum pages of one listing. `TOO_MANY_PAGES` */
const MOST_PAGES = 10_000;

/** A listing with several pages. */
export interface Listing {
  /** The first page's URL. */
  url: string;
  scopes: string[];
  /** The reference that the listing is about, for messages. */
  name: string;
  accept?: string;
  absent?: string;
  signal?: AbortSignal | undefined;
  /** Statuses besides 200 that end the listing and are returned as a page. */
  otherStatuses?: readonly number[];
  /** Maximum bytes of one page. Default: ANSWER_BYTES. `TOO_LARGE` */
  mostBytes?: number;
}

/** A page and its JSON; empty if it is not a JSON object. */
export interface Page extends WholeAnswer {
  json: Record<string, unknown>;
}

/**
 * Reads a list from a page. Null counts as empty, because some registries send it.
 * @throws RegistryError `ANSWER_INVALID` if the page has no such list
 */
export function listIn(page: Page, field: string, name: string): unknown[] {
  const list = page.json[field];
  if (Array.isArray(list)) return list;
  if (list === null || (list === undefined && page.status !== 200)) return [];
  const { status, url } = page;
  throw answerError('ANSWER_INVALID', `${name}: the registry's answer has no list "${field}"`, {
    url: redactUrl(url),
    status,
  });
}

/**
 * Yields the pages of a listing. The next page, named by the `Link` header, is requested when the caller continues.
 * @throws RegistryError `TOO_MANY_PAGES`, also if a page links to an earlier one
 */
export async function* readPages(endpoint: Endpoint, listing: Listing): AsyncGenerator<Page> {
  const { name, scopes } = listing;
  let next: { url: string; scopes?: string[] } = { url: listing.url, scopes };
  // Only hashes are kept, because URLs may be long and pages many.
  const visited = new Set<string>();
  for (let count = 1; ; count += 1) {
    visited.add(createHash('sha256').update(next.url).digest('base64'));
    const answer = await askWhole(
      endpoint,
      {
        ...next,
        method: 'GET',
        kind: 'api',
        headers: { accept: listing.accept ?? 'application/json' },
        signal: listing.signal,
      },
      {
        statuses: [200, ...(count === 1 ? (listing.otherStatuses ?? []) : [])],
        what: name,
        mostBytes: listing.mostBytes ?? ANSWER_BYTES,
        absent: listing.absent,
      },
    );
    yield { ...answer, json: parseObject(answer.bytes) ?? {} };
    const link = nextLink(answer.headers.link);
    if (link === undefined || answer.status !== 200) return;
    const following = follow({ endpoint, name }, link, answer.url, scopes);
    if (visited.has(createHash('sha256').update(following.url).digest('base64')) || count >= MOST_PAGES) {
      const url = redactUrl(next.url);
      throw answerError('TOO_MANY_PAGES', `${name}: the listing does not end (page ${count})`, { url });
    }
    next = following;
  }
}
