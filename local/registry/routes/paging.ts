import type { Call } from '../call.js';
import type { Context } from '../context.js';
import { Refusal } from '../refusal.js';

/** The most entries per page, whatever `n` says. */
const MOST_PAGE_ENTRIES = 1000;

/** Parses a request for a page: `n` entries after the entry `last`. @throws Refusal 400 `PAGINATION_NUMBER_INVALID` */
export function pageOf(
  context: Context,
  call: Call,
  usual: number = MOST_PAGE_ENTRIES,
): { count: number; last: string } {
  const n = call.url.searchParams.get('n');
  const last = call.url.searchParams.get('last') ?? '';
  const most = Math.min(context.quirks.pageEntries ?? MOST_PAGE_ENTRIES, MOST_PAGE_ENTRIES);
  if (n === null) return { count: Math.min(usual, most), last };
  if (!/^\d{1,9}$/.test(n)) {
    throw new Refusal(400, 'PAGINATION_NUMBER_INVALID', 'invalid number of results requested', { detail: { n } });
  }
  return { count: Math.min(Number(n), most), last };
}

/** A relative `Link`, like ACR's. An empty page has no next page. */
export function nextLink(call: Call, more: boolean, query: Record<string, string | number>): Record<string, string> {
  if (!more || query.n === 0) return {};
  const parameters = new URLSearchParams(
    Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]),
  );
  return { link: `<${call.url.pathname}?${parameters.toString()}>; rel="next"` };
}
