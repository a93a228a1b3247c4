import { createHash } from 'node:crypto';
import type { ListCursor } from '../rows/scan-row.js';

/** How long an entry may come after a newer one, by the registry's clock, in milliseconds: a replica may be late. */
const WINDOW_MS = 15 * 60_000;
/** Pages of one list that a change scan reads; of more changes a full scan takes care. */
export const MOST_NEWEST_PAGES = 20;
/**
 * If the newest entry is older than this by our clock, which may be wrong by an hour, then no other comes late: in milliseconds. What is
 * handled already is not read again to the end of the window.
 */
const SETTLED_MS = 2 * 3_600_000;

interface Entry {
  /** RFC 3339. */
  updatedAt: string;
}

/** What a list has that was not handled, oldest first. */
export interface Newest<T> {
  fresh: { entry: T; key: string }[];
  /** The cursor for the time when all of that is handled. */
  next: ListCursor;
  /** There may be more than was read. */
  isCut: boolean;
}

/**
 * Reads a list that is newest first until the window before the cursor. The cursor is the newest time of the first page, never our
 * clock.
 * @param before absent: reads what is in the window before the newest entry
 * @param keyOf what tells one change of one thing from another
 */
export async function readNewest<T extends Entry>(
  pages: AsyncIterable<readonly T[]>,
  before: ListCursor | undefined,
  keyOf: (entry: T) => string,
  now: Date,
): Promise<Newest<T>> {
  const handled = new Set(before?.handled);
  const isOld = before !== undefined && isSettled(before.newestMs, now);
  const fresh: Newest<T>['fresh'] = [];
  const seen: { ms: number; key: string }[] = [];
  let newestMs = before?.newestMs ?? 0;
  let isCut = false;
  let count = 0;
  for await (const page of pages) {
    const times = page.map(({ updatedAt }) => Date.parse(updatedAt));
    if (count === 0) newestMs = Math.max(newestMs, ...times);
    count += 1;
    const untilMs = (before?.newestMs ?? newestMs) - WINDOW_MS;
    const inside = page.flatMap((entry, index) => {
      const ms = times[index] ?? 0;
      return ms < untilMs ? [] : [{ entry, ms, key: hashOf(`${keyOf(entry)} ${entry.updatedAt}`) }];
    });
    seen.push(...inside.map(({ ms, key }) => ({ ms, key })));
    const news = inside.filter(({ key }) => !handled.has(key));
    fresh.push(...news.map(({ entry, key }) => ({ entry, key })));
    if (inside.length < page.length || (isOld && news.length === 0)) break;
    isCut = count >= MOST_NEWEST_PAGES && news.length > 0;
    if (count >= MOST_NEWEST_PAGES) break;
  }
  const isSame = newestMs === before?.newestMs;
  const kept = seen.filter(({ ms }) => ms >= newestMs - WINDOW_MS).map(({ key }) => key);
  const next = { newestMs, handled: [...new Set([...kept, ...(isSame ? before.handled : [])])] };
  return { fresh: fresh.toReversed(), next, isCut };
}

/** True for a time of a registry after which nothing earlier appears any more. */
export function isSettled(ms: number, now: Date): boolean {
  return now.getTime() - ms > SETTLED_MS;
}

/** Sixty bits, since a row holds thousands. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 10);
}
