import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A value of a header: its type, as rpm numbers them, and its elements. */
export type Value =
  | { type: 3 | 4; numbers: readonly number[] }
  | { type: 6 | 8 | 9; texts: readonly string[] }
  | { type: 7; bytes: Uint8Array };

export const text = (value: string): Value => ({ type: 6, texts: [value] });
export const texts = (...values: string[]): Value => ({ type: 8, texts: values });
export const numbers = (...values: number[]): Value => ({ type: 4, numbers: values });

function encode(value: Value): { bytes: Buffer; count: number; align: number } {
  if ('bytes' in value) return { bytes: Buffer.from(value.bytes), count: value.bytes.length, align: 1 };
  if ('texts' in value)
    return { bytes: Buffer.from(value.texts.map((each) => `${each}\0`).join('')), count: value.texts.length, align: 1 };
  const width = value.type === 3 ? 2 : 4;
  const bytes = Buffer.alloc(value.numbers.length * width);
  for (const [index, each] of value.numbers.entries()) bytes.writeUIntBE(each, index * width, width);
  return { bytes, count: value.numbers.length, align: width };
}

/** A package's header, as rpm's databases keep it. */
export function rpmHeader(values: readonly (readonly [tag: number, value: Value])[]): Buffer {
  const index: Buffer[] = [];
  let data = Buffer.alloc(0);
  for (const [tag, value] of values) {
    const { bytes, count, align } = encode(value);
    const offset = Math.ceil(data.length / align) * align;
    const entry = Buffer.alloc(16);
    for (const [at, number] of [tag, value.type, offset, count].entries()) entry.writeUInt32BE(number, at * 4);
    index.push(entry);
    data = Buffer.concat([data, Buffer.alloc(offset - data.length), bytes]);
  }
  const start = Buffer.alloc(8);
  start.writeUInt32BE(index.length, 0);
  start.writeUInt32BE(data.length, 4);
  return Buffer.concat([start, ...index, data]);
}

/** A header of a package with a file list of about `padding` bytes. */
export function simpleHeader(name: string, version = '1.0', release = '1', padding = 0): Buffer {
  const files = Array.from({ length: Math.ceil(padding / 10) }, (_, index) => `f${String(index).padStart(8, '0')}`);
  return rpmHeader([
    [1000, text(name)],
    [1001, text(version)],
    [1002, text(release)],
    ...(files.length === 0
      ? []
      : ([
          [1116, numbers(...files.map(() => 0))],
          [1117, texts(...files)],
          [1118, texts('/opt/')],
        ] as const)),
  ]);
}

/** A header with everything that is read of one. */
export function fullHeader(): Buffer {
  return rpmHeader([
    [261, { type: 7, bytes: Buffer.alloc(16, 7) }],
    [1000, text('openssl-libs')],
    [1001, text('3.0.7')],
    [1002, text('2.el9')],
    [1003, numbers(1)],
    [1011, text('Example, Inc.')],
    [1014, text('ASL 2.0 and MIT')],
    [1022, text('x86_64')],
    [1030, { type: 3, numbers: [0o100755, 0o040755] }],
    [1044, text('openssl-3.0.7-2.el9.src.rpm')],
    [1047, texts('libssl.so.3()(64bit)', 'openssl-libs')],
    [1049, texts('libc.so.6', 'rpmlib(PayloadIsXz)', '/bin/sh')],
    [1116, numbers(0, 1)],
    [1117, texts('libssl.so.3', 'doc')],
    [1118, texts('/usr/lib64/', '/usr/share/')],
    [5096, text('')],
  ]);
}

/** `rpmdb.sqlite`, made by sqlite itself. `sql` runs at the end. */
export function sqliteDatabase(
  headers: readonly Uint8Array[],
  { pageBytes = 4096, encoding = 'UTF-8', sql = [] as readonly string[] } = {},
): Buffer {
  // Jest finds no `node:sqlite` by an import: it is not in its list of modules.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  const folder = mkdtempSync(join(tmpdir(), 'rpmdb-'));
  try {
    const path = join(folder, 'rpmdb.sqlite');
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA encoding = '${encoding}'; PRAGMA synchronous = OFF; BEGIN`);
    database.exec("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)");
    const insert = database.prepare('INSERT INTO Packages (blob) VALUES (?)');
    for (const header of headers) insert.run(header);
    for (const statement of sql) database.exec(statement);
    database.exec('COMMIT');
    database.close();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An sqlite database whose table has 20 more pages, each with 30,000 rows that lie about their length. */
export function lyingSqliteDatabase(): Buffer {
  const bytes = Buffer.concat([sqliteDatabase([simpleHeader('a')], { pageBytes: 65_536 }), Buffer.alloc(20 * 65_536)]);
  const [root, first, count] = [65_536, bytes.length / 65_536 - 19, 20];
  bytes[root] = 0x05;
  bytes.writeUInt16BE(count, root + 3);
  for (let page = 0; page < count; page += 1) {
    const [cell, leaf] = [root + 60_000 + 5 * page, (first + page - 1) * 65_536];
    bytes.writeUInt16BE(cell - root, root + 12 + 2 * page);
    bytes.writeUInt32BE(first + page, cell);
    bytes[leaf] = 0x0d;
    bytes.writeUInt16BE(30_000, leaf + 3);
    bytes.fill(0xff, leaf + 8, leaf + 60_008);
  }
  return bytes;
}

/** `Packages`: a Berkeley DB hash with one bucket page for each header, and overflow pages for large ones. */
export function berkeleyDb(
  headers: readonly Uint8Array[],
  {
    order = 'little',
    pageBytes = 512,
    hashPage = 13,
  }: { order?: 'little' | 'big'; pageBytes?: number; hashPage?: number } = {},
): Buffer {
  const pages: Buffer[] = [];
  const u16 = (page: Buffer, value: number, at: number): unknown =>
    order === 'little' ? page.writeUInt16LE(value, at) : page.writeUInt16BE(value, at);
  const u32 = (page: Buffer, value: number, at: number): unknown =>
    order === 'little' ? page.writeUInt32LE(value, at) : page.writeUInt32BE(value, at);
  const page = (kind: number): Buffer => {
    const bytes = Buffer.alloc(pageBytes);
    u32(bytes, pages.length, 8);
    bytes[25] = kind;
    pages.push(bytes);
    return bytes;
  };
  /** Puts items on a page, from its end. */
  const put = (bytes: Buffer, items: Buffer[]): void => {
    let end = pageBytes;
    for (const [index, item] of items.entries()) {
      end -= item.length;
      item.copy(bytes, end);
      u16(bytes, end, 26 + 2 * index);
    }
    u16(bytes, items.length, 20);
  };
  const keyOf = (number: number): Buffer => {
    const key = Buffer.alloc(5);
    key[0] = 1;
    u32(key, number, 1);
    return key;
  };
  const metadata = page(8);
  u32(metadata, 0x00061561, 12);
  u32(metadata, pageBytes, 20);
  put(page(hashPage), [keyOf(0), keyOf(headers.length)]);
  for (const [index, header] of headers.entries()) {
    const bucket = page(hashPage);
    if (header.length < pageBytes / 4) {
      put(bucket, [keyOf(index + 1), Buffer.concat([Buffer.from([1]), header])]);
      continue;
    }
    const item = Buffer.alloc(12);
    item[0] = 3;
    u32(item, pages.length, 4);
    u32(item, header.length, 8);
    put(bucket, [keyOf(index + 1), item]);
    const room = pageBytes - 26;
    for (let at = 0; at < header.length; at += room) {
      const piece = Buffer.from(header.subarray(at, at + room));
      const overflow = page(7);
      piece.copy(overflow, 26);
      u16(overflow, piece.length, 22);
      if (at + room < header.length) u32(overflow, pages.length, 16);
    }
  }
  u32(metadata, pages.length - 1, 32);
  return Buffer.concat(pages);
}

/** `Packages.db`: rpm's own format. */
export function ndbDatabase(headers: readonly Uint8Array[]): Buffer {
  const slots = Buffer.alloc(4096);
  slots.write('RpmP');
  slots.writeUInt32LE(1, 12);
  for (let at = 32; at < slots.length; at += 16) slots.write('Slot', at);
  const blobs: Buffer[] = [];
  let blocks = slots.length / 16;
  for (const [index, header] of headers.entries()) {
    const at = 32 + index * 16;
    slots.writeUInt32LE(index + 1, at + 4);
    slots.writeUInt32LE(blocks, at + 8);
    const blob = Buffer.alloc(Math.ceil((16 + header.length + 12) / 16) * 16);
    blob.write('BlbS');
    blob.writeUInt32LE(index + 1, 4);
    blob.writeUInt32LE(header.length, 12);
    Buffer.from(header).copy(blob, 16);
    blobs.push(blob);
    blocks += blob.length / 16;
    slots.writeUInt32LE(blob.length / 16, at + 12);
  }
  return Buffer.concat([slots, ...blobs]);
}
