import { Binary, Unreadable } from '../binary.js';
import type { Skips } from '../skips.js';

const MAGIC = 0x00061561;
const METADATA_PAGE = 8;
/** Pages of a hash table; the first kind is that of versions before 4.6 (RHEL 5). */
const HASH_PAGES = [2, 13];
const OVERFLOW_PAGE = 7;
const PAGE_HEADER_BYTES = 26;
/** How an item is stored: in the page, or on overflow pages. */
const [IN_PAGE, ON_PAGES] = [1, 3];

/** The byte order of a Berkeley DB hash, or undefined if the file is none. */
function orderOf(head: Uint8Array): 'little' | 'big' | undefined {
  if (head.length < 72) return undefined;
  return (['little', 'big'] as const).find((order) => {
    const page = new Binary(head, order);
    return page.u32(12) === MAGIC && page.u8(25) === METADATA_PAGE;
  });
}

export function isBerkeleyDb(head: Uint8Array): boolean {
  return orderOf(head) !== undefined;
}

/**
 * Yields the headers of rpm's Berkeley DB database (`Packages`), a hash table: all its pages are read in their order,
 * each once at most.
 * @throws Unreadable if its first page is not that of a hash table
 * @see https://github.com/berkeleydb/libdb/blob/v5.3.28/src/dbinc/db_page.h
 */
export function* readBerkeleyDb(bytes: Uint8Array, skips: Skips): Generator<Uint8Array> {
  const order = orderOf(bytes);
  if (order === undefined) throw new Unreadable('it is no hash table');
  const file = new Binary(bytes, order);
  const pageBytes = file.u32(20);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0)
    throw new Unreadable('its page size is none');
  if (file.u8(24) !== 0) throw new Unreadable('it is encrypted');
  const [stated, present] = [file.u32(32) + 1, Math.floor(bytes.length / pageBytes)];
  if (stated > present) skips.add('pages that are missing', 'database-unreadable', stated - present);
  const visited = new Uint8Array(present);
  // Items of a true database do not overlap.
  const room = { left: bytes.length };
  for (let number = 1; number < Math.min(stated, present); number += 1) {
    const page = new Binary(file.slice(number * pageBytes, pageBytes), order);
    if (HASH_PAGES.includes(page.u8(25))) yield* itemsOf(page, skips, room, overflow);
  }

  function overflow(first: number, length: number): Uint8Array {
    const pieces: Uint8Array[] = [];
    let read = 0;
    for (let number = first; number !== 0 && read < length;) {
      if (number >= present || visited[number] === 1) throw new Unreadable('no such page');
      visited[number] = 1;
      const page = new Binary(file.slice(number * pageBytes, pageBytes), order ?? 'little');
      if (page.u8(25) !== OVERFLOW_PAGE) throw new Unreadable('it is no overflow page');
      const piece = page.slice(PAGE_HEADER_BYTES, page.u16(22));
      pieces.push(piece);
      read += piece.length;
      number = page.u32(16);
    }
    if (read !== length) throw new Unreadable('an item has another length');
    return Buffer.concat(pieces);
  }
}

/** The values of a page, whose items are keys and values in turn, stored from its end. */
function* itemsOf(
  page: Binary,
  skips: Skips,
  room: { left: number },
  overflow: (first: number, length: number) => Uint8Array,
): Generator<Uint8Array> {
  const stated = page.u16(20);
  const items = Math.min(stated, Math.floor((page.length - PAGE_HEADER_BYTES) / 2));
  if (items < stated) skips.add('pages that state more entries than they have room for', 'database-unreadable');
  for (let item = 1; item < items; item += 2) {
    try {
      const keyAt = page.u16(PAGE_HEADER_BYTES + 2 * item - 2);
      const at = page.u16(PAGE_HEADER_BYTES + 2 * item);
      const kind = page.u8(at);
      if (kind === IN_PAGE) {
        // Record 0 has the number of the next package; any other is a header, however small.
        const isCounter =
          page.u8(keyAt) === IN_PAGE && page.slice(at, keyAt - at).length === 5 && page.u32(keyAt + 1) === 0;
        if (isCounter) continue;
        room.left -= keyAt - at;
        if (room.left < 0) throw new Unreadable('its items overlap');
        yield page.slice(at + 1, keyAt - at - 1);
      } else if (kind === ON_PAGES) yield overflow(page.u32(at + 4), page.u32(at + 8));
      else throw new Unreadable('it has several values');
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      skips.addOrStop('entries that cannot be read');
    }
  }
  if (items % 2 === 1) skips.add('keys without a value');
}
