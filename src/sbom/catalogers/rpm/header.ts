import { Binary, Unreadable } from '../binary.js';

/** @see https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/include/rpm/rpmtag.h */
export const TAGS = {
  signatureMd5: 261,
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  vendor: 1011,
  license: 1014,
  arch: 1022,
  oldFileNames: 1027,
  fileModes: 1030,
  fileDigests: 1035,
  sourceRpm: 1044,
  provides: 1047,
  requires: 1049,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  modularityLabel: 5096,
} as const;

/** As in rpm: entries of the index, and bytes of a header. */
const [MOST_ENTRIES, MOST_BYTES] = [0xffff, 256 * 1024 * 1024];
const ENTRY_BYTES = 16;
/** Elements of one array. The largest packages have 100,000 files. */
const MOST_ELEMENTS = 1_000_000;
const [INT16, INT32, STRING, BINARY, STRINGS, TRANSLATED] = [3, 4, 6, 7, 8, 9];
const WANTED: ReadonlySet<number> = new Set(Object.values(TAGS));

/**
 * The wanted values of a package's header, as rpm's databases keep it: an index of tags and the data that they point
 * to. Each value is bounded by the header's data, whatever its count says.
 * @see https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/header.c
 */
export class RpmHeader {
  readonly #data: Binary;
  readonly #entries = new Map<number, { type: number; offset: number; count: number }>();

  /** @throws Unreadable if the index or the data are longer than the header */
  constructor(bytes: Uint8Array) {
    const header = new Binary(bytes, 'big');
    const [entries, length] = [header.u32(0), header.u32(4)];
    if (entries < 1 || entries > MOST_ENTRIES || length > MOST_BYTES) throw new Unreadable('its index is too long');
    const start = 8 + entries * ENTRY_BYTES;
    this.#data = new Binary(header.slice(start, length), 'big');
    for (let at = 8; at < start; at += ENTRY_BYTES) {
      const tag = header.u32(at);
      // A later entry replaces an earlier one, as rpm's additions to the signed header do.
      if (WANTED.has(tag))
        this.#entries.set(tag, { type: header.u32(at + 4), offset: header.u32(at + 8), count: header.u32(at + 12) });
    }
  }

  /** A string, or the first of several. */
  string(tag: number): string | undefined {
    return this.#strings(tag, 1)[0];
  }

  /** @throws Unreadable if there are more than the data has */
  strings(tag: number): string[] {
    return this.#strings(tag, Infinity);
  }

  /** Numbers of 16 or 32 bits. @throws Unreadable if there are more than the data has */
  numbers(tag: number): number[] {
    const { type, offset, count } = this.#entries.get(tag) ?? { type: INT32, offset: 0, count: 0 };
    const width = type === INT16 ? 2 : 4;
    if ((type !== INT16 && type !== INT32) || count > MOST_ELEMENTS) throw new Unreadable('its numbers cannot be read');
    const bytes = new Binary(this.#data.slice(offset, count * width), 'big');
    return Array.from({ length: count }, (_, index) => (width === 2 ? bytes.u16(index * 2) : bytes.u32(index * 4)));
  }

  binary(tag: number): Buffer | undefined {
    const entry = this.#entries.get(tag);
    return entry?.type === BINARY ? this.#data.slice(entry.offset, entry.count) : undefined;
  }

  #strings(tag: number, most: number): string[] {
    const { type, offset, count } = this.#entries.get(tag) ?? { type: STRING, offset: 0, count: 0 };
    if ((type !== STRING && type !== STRINGS && type !== TRANSLATED) || count > MOST_ELEMENTS)
      throw new Unreadable('its texts cannot be read');
    const texts: string[] = [];
    for (let at = offset; texts.length < Math.min(count, most);) {
      const end = this.#data.bytes.indexOf(0, at);
      if (at > this.#data.length || end < 0) throw new Unreadable('a text has no end');
      texts.push(this.#data.bytes.toString('utf8', at, end));
      at = end + 1;
    }
    return texts;
  }
}
