import { createHash } from 'node:crypto';
import type { ListCursor } from '../rows/scan-row.js';

/** An entry may appear up to this long after a newer one, because a replica may lag. Registry time, in milliseconds. */
const WINDOW_MS = 15 * 60_000;
/** Pages that a change scan reads of one list. If there is more, a full scan follows. */
export const MOST_NEWEST_PAGES = 20;
/**
 * If the newest entry is older than this, no late entry is expected any more, and the window is not read to its end
 * when everything in it is handled. Long enough for our clock to be wrong by an hour. Milliseconds.
 */
const SETTLED_MS = 2 * 3_600_000;

interface Entry {
  /** RFC 3339. */
  updatedAt: string;
}

/** The entries of a list that are not handled yet, oldest first. */
export interface Newest<T> {
  fresh: { entry: T; key: string }[];
  /** The cursor to keep once all of them are handled. */
  next: ListCursor;
  /** True if there may be more entries than were read. */
  isCut: boolean;
}

/**
 * Reads a list (newest first) back to the start of the window before the cursor. The cursor is the newest time on the
 * first page, never our clock.
 * @param before if absent, reads the window before the newest entry
 * @param keyOf identifies one change of one tag or manifest
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

/** True if so much time has passed that no entry with an earlier time can still appear in the registry's list. */
export function isSettled(ms: number, now: Date): boolean {
  return now.getTime() - ms > SETTLED_MS;
}

/** 60 bits are enough, and a row holds thousands of them. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 10);
}
