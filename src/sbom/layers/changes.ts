import { isAscii } from 'node:buffer';
import { tarText } from '../../oci/index.js';

/** What an entry of a layer does at its path. `removal` removes what is there and writes nothing. */
const KINDS = ['file', 'directory', 'symlink', 'hardlink', 'other', 'removal'] as const;
export type ChangeKind = (typeof KINDS)[number];

/** One entry of a layer. */
export interface Change {
  /** Position among the entries of the layer; the first is 0. */
  index: number;
  kind: ChangeKind;
  /** The parts of its path, which is clean and relative to the root. Valid until the next change is read. */
  names: readonly string[];
  /** How many of the first names are those of the change before. */
  sameNames: number;
  /** True if a cataloger wants the file at this path, or if it is a database that none reads. */
  isNoted: boolean;
  /** Target of a link, as in the archive; '' for all others. */
  target: string;
}

/** Added to the position in {@link KINDS}. */
const NOTED = 0x08;
const NOT_ASCII = /[\x80-\xff]/;
const FIRST_BYTES = 64 * 1024;
const MOST_VARINT_BYTES = 5;

/** The bytes of a name: the reverse of {@link tarText}, which turns bytes that are not UTF-8 into lone surrogates. */
function bytesOf(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name);
  const isByte = (char: string): boolean => char >= '\udc80' && char <= '\udcff';
  return Buffer.concat(
    Array.from(name, (char) => (isByte(char) ? Buffer.of(char.charCodeAt(0) & 0xff) : Buffer.from(char))),
  );
}

/**
 * Collects the entries of a layer in the order of the archive. A path takes only the bytes that differ from the path
 * before it, so that a layer of a million files takes about 20 MB.
 */
export class ChangeWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;
  #count = 0;
  #previous: Buffer = Buffer.alloc(0);

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** @returns the index of the change */
  add(kind: ChangeKind, path: string, target = '', isNoted = false): number {
    const bytes = bytesOf(path);
    const most = Math.min(bytes.length, this.#previous.length);
    let same = 0;
    while (same < most && bytes[same] === this.#previous[same]) same += 1;
    const isLink = kind === 'symlink' || kind === 'hardlink';
    const link = isLink ? bytesOf(target) : undefined;
    this.#reserve(1 + 3 * MOST_VARINT_BYTES + bytes.length - same + (link?.length ?? 0));
    this.#bytes[this.#length++] = KINDS.indexOf(kind) | (isNoted ? NOTED : 0);
    this.#writeNumber(same);
    this.#writeNumber(bytes.length - same);
    this.#length += bytes.copy(this.#bytes, this.#length, same);
    if (link !== undefined) {
      this.#writeNumber(link.length);
      this.#length += link.copy(this.#bytes, this.#length);
    }
    this.#previous = bytes;
    return this.#count++;
  }

  /** All changes, for {@link readChanges}. */
  bytes(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, 0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#bytes.length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  #writeNumber(value: number): void {
    let left = value;
    for (; left >= 0x80; left >>>= 7) this.#bytes[this.#length++] = (left & 0x7f) | 0x80;
    this.#bytes[this.#length++] = left;
  }
}

/** Yields the changes that a {@link ChangeWriter} collected, in the same order. It is one object, filled again each time. */
export function* readChanges(changes: Uint8Array): Generator<Change> {
  const bytes = Buffer.from(changes.buffer, changes.byteOffset, changes.length);
  const hasOnlyAscii = isAscii(bytes);
  // One character for each byte. Most names are ASCII.
  const nameOf = (raw: string): string =>
    hasOnlyAscii || !NOT_ASCII.test(raw) ? raw : tarText(Buffer.from(raw, 'latin1'));
  let at = 0;
  const readNumber = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const readText = (length: number): string => bytes.toString('latin1', at, (at += length));
  const names: string[] = [];
  const raws: string[] = [];
  /** For each name, the offset in the path where it ends. */
  const ends: number[] = [];
  const change: Change = { index: 0, kind: 'other', names, sameNames: 0, isNoted: false, target: '' };
  for (let index = 0; at < bytes.length; index += 1) {
    const first = bytes[at++] ?? 0;
    change.index = index;
    change.kind = KINDS[first & ~NOTED] ?? 'other';
    change.isNoted = (first & NOTED) !== 0;
    const same = readNumber();
    const more = readNumber();
    // A name is the same if the slash behind it is.
    let before = '';
    while (names.length > 0 && (ends.at(-1) ?? 0) >= same) {
      names.pop();
      ends.pop();
      before = raws.pop() ?? '';
    }
    change.sameNames = names.length;
    const start = names.length === 0 ? 0 : (ends.at(-1) ?? 0) + 1;
    const rest = before.slice(0, same - start) + readText(more);
    for (let from = 0; from < rest.length;) {
      const slash = rest.indexOf('/', from);
      const end = slash < 0 ? rest.length : slash;
      const raw = rest.slice(from, end);
      raws.push(raw);
      names.push(nameOf(raw));
      ends.push(start + end);
      from = end + 1;
    }
    change.target = change.kind === 'symlink' || change.kind === 'hardlink' ? nameOf(readText(readNumber())) : '';
    yield change;
  }
}
