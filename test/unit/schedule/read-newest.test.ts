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

/** A tag that was written so many minutes before noon. */
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

  /** Newest first, two a page. */
  async *read(): AsyncGenerator<Entry[]> {
    const sorted = this.entries.toSorted((a, b) => Date.parse(b.updatedAt) - Date.parse(a.updatedAt));
    for (let from = 0; from === 0 || from < sorted.length; from += 2) {
      this.pages += 1;
      yield sorted.slice(from, from + 2);
    }
  }
}

/** Reads at a time, in hours after noon. */
const read = (list: List, before?: ListCursor, hours = 0): Promise<Newest<Entry>> =>
  readNewest(list.read(), before, ({ name }) => name, new Date(AT_MS + hours * HOUR_MS));
const namesOf = ({ fresh }: Newest<Entry>): string[] => fresh.map(({ entry: { name } }) => name);

describe('what is new in a list', () => {
  test('without a cursor, what is in the window before the newest', async () => {
    const list = new List(entry('a', 40), entry('b', 14), entry('c', 0));
    const newest = await read(list);
    expect(namesOf(newest)).toEqual(['b', 'c']);
    expect(newest.next.newestMs).toBe(AT_MS);
  });

  test('is given oldest first, and once', async () => {
    const list = new List(entry('a', 60));
    const { next } = await read(list);
    list.entries.push(entry('b', 50), entry('c', 5), entry('d', 1));
    const second = await read(list, next);
    expect(namesOf(second)).toEqual(['b', 'c', 'd']);
    const third = await read(list, second.next);
    expect(namesOf(third)).toEqual([]);
    expect(third.next).toEqual(second.next);
  });

  test('is a thing that changed again', async () => {
    const list = new List(entry('a', 60));
    const { next } = await read(list);
    list.entries[0] = entry('a', 0);
    expect(namesOf(await read(list, next))).toEqual(['a']);
  });

  test('is also what a late replica shows up to 15 minutes after something newer', async () => {
    const list = new List(entry('a', 60), entry('c', 0));
    const { next } = await read(list);
    list.entries.push(entry('b', 14), entry('too late', 16));
    const second = await read(list, next);
    expect(namesOf(second)).toEqual(['b']);
    expect(second.next.newestMs).toBe(next.newestMs);
    expect(namesOf(await read(list, second.next))).toEqual([]);
  });

  test('is nothing where a replica shows the list as it was', async () => {
    const list = new List(entry('a', 60), entry('b', 0));
    const { next } = await read(list);
    const old = await read(new List(entry('a', 60)), next);
    expect(namesOf(old)).toEqual([]);
    expect(old.next).toEqual(next);
    expect(namesOf(await read(list, old.next))).toEqual([]);
  });

  test('is all in a list that was empty', async () => {
    const list = new List();
    const { next } = await read(list);
    expect(next).toEqual({ newestMs: 0, handled: [] });
    list.entries.push(entry('a', 60), entry('b', 0));
    expect(namesOf(await read(list, next))).toEqual(['a', 'b']);
  });
});

describe('how many pages are read', () => {
  const many = (count: number, minutesAgo: number): Entry[] =>
    Array.from({ length: count }, (_, index) => entry(`m${minutesAgo}-${index}`, minutesAgo));

  test('one if nothing is new and the newest entry is old, however many were written with it', async () => {
    const list = new List(...many(30, 0));
    const { next } = await read(list);
    list.pages = 0;
    await read(list, next, 1);
    expect(list.pages).toBe(15);
    list.pages = 0;
    expect(namesOf(await read(list, next, 3))).toEqual([]);
    expect(list.pages).toBe(1);
  });

  test('until the window before the cursor if something is new', async () => {
    const list = new List(entry('a', 60), ...many(4, 30), ...many(4, 20));
    const { next } = await read(list);
    list.entries.push(...many(6, 0));
    list.pages = 0;
    expect(namesOf(await read(list, next, 3))).toHaveLength(6);
    // Three are new, and one that has nothing new.
    expect(list.pages).toBe(4);
  });

  test('twenty at most: then a full scan is to come, unless all on the last one was handled', async () => {
    const list = new List(entry('a', 60));
    const { next } = await read(list);
    list.entries.push(...many(60, 0));
    const second = await read(list, next);
    expect(second).toMatchObject({ isCut: true });
    expect(second.fresh).toHaveLength(2 * MOST_NEWEST_PAGES);
    expect(await read(list, second.next)).toMatchObject({ isCut: false, fresh: [] });
  });
});
