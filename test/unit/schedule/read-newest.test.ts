import { describe, expect, test } from '@jest/globals';
import type { ListCursor } from '../../../src/rows/scan-row.js';
import { MOST_NEWEST_PAGES, readNewest, type Newest } from '../../../src/schedule/read-newest.js';

const AT_MS = Date.parse('2026-01-01T12:00:00Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface Entry {
  name: string;
  updatedAt: string;
}

/** A tag that was written that many minutes before noon. */
const entry = (name: string, minutesAgo: number): Entry => ({
  name,
  updatedAt: new Date(AT_MS - minutesAgo * MINUTE_MS).toISOString(),
});

class List {
  pages = 0;
  readonly entries: Entry[];

  constructor(...entries: Entry[]) {
    this.entries = entries;
  }

  /** Newest first, two per page. */
  async *read(): AsyncGenerator<Entry[]> {
    const sorted = this.entries.toSorted((a, b) => Date.parse(b.updatedAt) - Date.parse(a.updatedAt));
    for (let from = 0; from === 0 || from < sorted.length; from += 2) {
      this.pages += 1;
      yield sorted.slice(from, from + 2);
    }
  }
}

/** Reads at a time given in hours after noon. */
const read = (list: List, before?: ListCursor, hours = 0): Promise<Newest<Entry>> =>
  readNewest(list.read(), before, ({ name }) => name, new Date(AT_MS + hours * HOUR_MS));
const namesOf = ({ fresh }: Newest<Entry>): string[] => fresh.map(({ entry: { name } }) => name);

describe('the new entries of a list', () => {
  test('without a cursor, all entries in the window before the newest one are new', async () => {
    const list = new List(entry('a', 40), entry('b', 14), entry('c', 0));
    const newest = await read(list);
    expect(namesOf(newest)).toEqual(['b', 'c']);
    expect(newest.next.newestMs).toBe(AT_MS);
  });

  test('each new entry is returned once, oldest first', async () => {
    const list = new List(entry('a', 60));
    const { next } = await read(list);
    list.entries.push(entry('b', 50), entry('c', 5), entry('d', 1));
    const second = await read(list, next);
    expect(namesOf(second)).toEqual(['b', 'c', 'd']);
    const third = await read(list, second.next);
    expect(namesOf(third)).toEqual([]);
    expect(third.next).toEqual(second.next);
  });

  test('a tag that changed again is new', async () => {
    const list = new List(entry('a', 60));
    const { next } = await read(list);
    list.entries[0] = entry('a', 0);
    expect(namesOf(await read(list, next))).toEqual(['a']);
  });

  test('an entry that a late replica shows up to 15 minutes after a newer one is new', async () => {
    const list = new List(entry('a', 60), entry('c', 0));
    const { next } = await read(list);
    list.entries.push(entry('b', 14), entry('too late', 16));
    const second = await read(list, next);
    expect(namesOf(second)).toEqual(['b']);
    expect(second.next.newestMs).toBe(next.newestMs);
    expect(namesOf(await read(list, second.next))).toEqual([]);
  });

  test('a scan finds nothing new if a stale replica returns the earlier list', async () => {
    const list = new List(entry('a', 60), entry('b', 0));
    const { next } = await read(list);
    const old = await read(new List(entry('a', 60)), next);
    expect(namesOf(old)).toEqual([]);
    expect(old.next).toEqual(next);
    expect(namesOf(await read(list, old.next))).toEqual([]);
  });

  test('all entries of a formerly empty list are new', async () => {
    const list = new List();
    const { next } = await read(list);
    expect(next).toEqual({ newestMs: 0, handled: [] });
    list.entries.push(entry('a', 60), entry('b', 0));
    expect(namesOf(await read(list, next))).toEqual(['a', 'b']);
  });
});

describe('the number of pages read', () => {
  const many = (count: number, minutesAgo: number): Entry[] =>
    Array.from({ length: count }, (_, index) => entry(`m${minutesAgo}-${index}`, minutesAgo));

  test('one page is read if nothing is new and the newest entry is old, however many entries have that time', async () => {
    const list = new List(...many(30, 0));
    const { next } = await read(list);
    list.pages = 0;
    await read(list, next, 1);
    expect(list.pages).toBe(15);
    list.pages = 0;
    expect(namesOf(await read(list, next, 3))).toEqual([]);
    expect(list.pages).toBe(1);
  });

  test('pages are read to the start of the window if something is new', async () => {
    const list = new List(entry('a', 60), ...many(4, 30), ...many(4, 20));
    const { next } = await read(list);
    list.entries.push(...many(6, 0));
    list.pages = 0;
    expect(namesOf(await read(list, next, 3))).toHaveLength(6);
    // Three entries are new. The last page has none.
    expect(list.pages).toBe(4);
  });

  test('at most twenty pages are read, then a full scan is needed unless the last page has nothing new', async () => {
    const list = new List(entry('a', 60));
    const { next } = await read(list);
    list.entries.push(...many(60, 0));
    const second = await read(list, next);
    expect(second).toMatchObject({ isCut: true });
    expect(second.fresh).toHaveLength(2 * MOST_NEWEST_PAGES);
    expect(await read(list, second.next)).toMatchObject({ isCut: false, fresh: [] });
  });
});
