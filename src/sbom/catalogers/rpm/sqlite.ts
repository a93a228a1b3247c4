import { Binary, Unreadable } from '../binary.js';
import type { Skips } from '../skips.js';

const MAGIC = Buffer.from('SQLite format 3\0');
const HEADER_BYTES = 100;
const [INTERIOR, LEAF] = [0x05, 0x0d];
/** Maximum columns of a record that are read. */
const MOST_COLUMNS = 10;
/** Bytes of an integer column, by its serial type. */
const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];
/** The table of rpm's headers, as rpm creates it. Columns in another order would have another meaning. */
const PACKAGES =
  /^CREATE TABLE\s+['"]?Packages['"]?\s*\(\s*hnum INTEGER PRIMARY KEY(?: AUTOINCREMENT)?,\s*blob BLOB NOT NULL\s*\)$/i;

export function isSqlite(head: Uint8Array): boolean {
  return MAGIC.equals(head.subarray(0, MAGIC.length));
}

/**
 * Yields the headers of rpm's sqlite database (`rpmdb.sqlite`). In Node 22, `node:sqlite` opens files only, and there is no disk.
 * Each page is read once at most and rows do not overlap, so that the time is linear whatever the pages say.
 * @throws Unreadable if it has no table of packages
 * @see https://www.sqlite.org/fileformat2.html
 */
export function* readSqlite(bytes: Uint8Array, skips: Skips): Generator<Uint8Array> {
  const pages = new Pages(bytes);
  if (pages.missing > 0) skips.add('pages that are missing', 'database-unreadable', pages.missing);
  const tables = [...pages.rows(1, skips)].filter(
    ([kind, name]) => pages.text(kind) === 'table' && pages.text(name).toLowerCase() === 'packages',
  );
  const [, , , root, sql] = tables[0] ?? [];
  const size = root?.bytes.length ?? 0;
  if (tables.length !== 1 || root?.kind !== 'integer' || size < 1 || size > 4 || !PACKAGES.test(pages.text(sql)))
    throw new Unreadable("it has no table of rpm's packages");
  for (const [, blob] of pages.rows(root.bytes.readUIntBE(0, size), skips)) {
    if (blob?.kind === 'blob') yield blob.bytes;
    else skips.add('rows without a header');
  }
}

interface Column {
  kind: 'integer' | 'blob' | 'text';
  bytes: Buffer;
}

class Pages {
  readonly #file: Binary;
  readonly #pageBytes: number;
  /** Bytes of a page that are not reserved for extensions. */
  readonly #usable: number;
  readonly #claimed: Uint8Array;
  readonly #encoding: number;
  /** Bytes of rows that remain. In a true database, rows do not overlap. */
  #left: number;

  constructor(bytes: Uint8Array) {
    this.#file = new Binary(bytes, 'big');
    const stated = this.#file.u16(16);
    this.#pageBytes = stated === 1 ? 65_536 : stated;
    if (this.#pageBytes < 512 || (this.#pageBytes & (this.#pageBytes - 1)) !== 0)
      throw new Unreadable('its page size is none');
    this.#usable = this.#pageBytes - this.#file.u8(20);
    if (this.#usable < 480) throw new Unreadable('its page size is none');
    this.#encoding = this.#file.u32(56);
    this.#claimed = new Uint8Array(Math.floor(bytes.length / this.#pageBytes) + 1);
    this.#left = bytes.length;
  }

  text(column: Column | undefined): string {
    if (column?.kind !== 'text') return '';
    if (this.#encoding < 2) return column.bytes.toString('utf8');
    return new TextDecoder(this.#encoding === 2 ? 'utf-16le' : 'utf-16be').decode(column.bytes);
  }

  /** Pages that the header states, and that the file does not have. */
  get missing(): number {
    const isStated = this.#file.u32(24) === this.#file.u32(92);
    return isStated ? Math.max(0, this.#file.u32(28) - Math.floor(this.#file.length / this.#pageBytes)) : 0;
  }

  /** The rows of a table, in order, from its first page. */
  *rows(root: number, skips: Skips): Generator<Column[]> {
    const open = this.#claim(root, skips) ? [root] : [];
    for (let number = open.pop(); number !== undefined; number = open.pop()) {
      try {
        const page = this.#page(number);
        const start = number === 1 ? HEADER_BYTES : 0;
        const isInterior = page.u8(start) === INTERIOR;
        if (!isInterior && page.u8(start) !== LEAF) throw new Unreadable('it is no page of a table');
        const cells = page.u16(start + 3);
        if (cells * 2 > this.#usable) throw new Unreadable('its page has too many cells');
        const pointers = start + (isInterior ? 12 : 8);
        if (isInterior) {
          const children = Array.from({ length: cells }, (_, cell) => page.u32(page.u16(pointers + 2 * cell)));
          children.push(page.u32(start + 8));
          open.push(...children.toReversed().filter((child) => this.#claim(child, skips)));
          continue;
        }
        for (let cell = 0; cell < cells; cell += 1) {
          const row = this.#row(page, pointers + 2 * cell, skips);
          if (row !== undefined) yield row;
        }
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        skips.addOrStop('pages that cannot be read', 'database-unreadable');
      }
    }
  }

  /** False if there is no such page, or if it was named before, as in a hostile database. */
  #claim(number: number, skips: Skips): boolean {
    const isNew = number >= 1 && this.#claimed[number] === 0;
    if (isNew) this.#claimed[number] = 1;
    else skips.add('pages that cannot be read', 'database-unreadable');
    return isNew;
  }

  #page(number: number): Binary {
    return new Binary(this.#file.slice((number - 1) * this.#pageBytes, this.#pageBytes), 'big');
  }

  #row(page: Binary, pointer: number, skips: Skips): Column[] | undefined {
    try {
      const [length, afterLength] = varint(page, page.u16(pointer));
      const [, start] = varint(page, afterLength);
      return columnsOf(new Binary(this.#payload(page, start, length, skips), 'big'));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      skips.addOrStop('rows that cannot be read');
      return undefined;
    }
  }

  /** The bytes of a cell, with those on overflow pages. */
  #payload(page: Binary, start: number, length: number, skips: Skips): Uint8Array {
    if (length > this.#file.length) throw new Unreadable('a row is longer than the database');
    if (length <= this.#usable - 35) return this.#local(page, start, length);
    const least = Math.floor(((this.#usable - 12) * 32) / 255) - 23;
    const wanted = least + ((length - least) % (this.#usable - 4));
    const local = wanted <= this.#usable - 35 ? wanted : least;
    const pieces: Uint8Array[] = [this.#local(page, start, local)];
    let next = page.u32(start + local);
    for (let left = length - local; left > 0;) {
      if (!this.#claim(next, skips)) throw new Unreadable('a row ends too early');
      const overflow = this.#page(next);
      const piece = overflow.slice(4, Math.min(left, this.#usable - 4));
      pieces.push(piece);
      left -= piece.length;
      next = overflow.u32(0);
    }
    return Buffer.concat(pieces);
  }

  #local(page: Binary, start: number, length: number): Uint8Array {
    this.#left -= length;
    if (this.#left < 0) throw new Unreadable('its rows overlap');
    return page.slice(start, length);
  }
}

/** A big-endian number of seven bits in each of at most nine bytes. @returns the number and the place after it */
function varint(bytes: Binary, at: number): [value: number, next: number] {
  let value = 0;
  for (let index = 0; index < 9; index += 1) {
    const byte = bytes.u8(at + index);
    value = index === 8 ? value * 256 + byte : value * 128 + (byte & 0x7f);
    if (byte < 0x80 || index === 8) return [value, at + index + 1];
  }
  throw new Unreadable('a number has no end');
}

function columnsOf(record: Binary): Column[] {
  const columns: Column[] = [];
  let [end, at] = varint(record, 0);
  let body = end;
  while (at < end && columns.length < MOST_COLUMNS) {
    const [type, next] = varint(record, at);
    at = next;
    const bytes = type < 12 ? INTEGER_BYTES[type] : Math.floor((type - 12) / 2);
    if (bytes === undefined) throw new Unreadable('a column has no type');
    columns.push({ kind: type < 12 ? 'integer' : type % 2 === 0 ? 'blob' : 'text', bytes: record.slice(body, bytes) });
    body += bytes;
  }
  return columns;
}
