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
  /** Target of a link, as in the archive; '' for all others. */
  target: string;
}

const SLASH = 0x2f;
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
  add(kind: ChangeKind, path: string, target = ''): number {
    const bytes = bytesOf(path);
    const most = Math.min(bytes.length, this.#previous.length);
    let same = 0;
    while (same < most && bytes[same] === this.#previous[same]) same += 1;
    const isLink = kind === 'symlink' || kind === 'hardlink';
    const link = isLink ? bytesOf(target) : undefined;
    this.#reserve(1 + 3 * MOST_VARINT_BYTES + bytes.length - same + (link?.length ?? 0));
    this.#bytes[this.#length++] = KINDS.indexOf(kind);
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

/** Yields the changes that a {@link ChangeWriter} collected, in the same order. */
export function* readChanges(bytes: Uint8Array): Generator<Change> {
  let at = 0;
  const readNumber = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  let path = Buffer.alloc(FIRST_BYTES);
  const names: string[] = [];
  /** For each name, the offset in the path where it ends. */
  const ends: number[] = [];
  for (let index = 0; at < bytes.length; index += 1) {
    const kind = KINDS[bytes[at++] ?? 0] ?? 'other';
    const same = readNumber();
    const length = same + readNumber();
    if (length > path.length) path = Buffer.concat([path], 2 * length);
    path.set(bytes.subarray(at, at + length - same), same);
    at += length - same;
    // A name is the same if the slash behind it is.
    while (names.length > 0 && (ends.at(-1) ?? 0) >= same) {
      names.pop();
      ends.pop();
    }
    const sameNames = names.length;
    const whole = path.subarray(0, length);
    for (let start = names.length === 0 ? 0 : (ends.at(-1) ?? 0) + 1; start < length;) {
      const slash = whole.indexOf(SLASH, start);
      const end = slash < 0 ? length : slash;
      names.push(tarText(whole.subarray(start, end)));
      ends.push(end);
      start = end + 1;
    }
    let target = '';
    if (kind === 'symlink' || kind === 'hardlink') {
      const linkLength = readNumber();
      target = tarText(bytes.subarray(at, at + linkLength));
      at += linkLength;
    }
    yield { index, kind, names, sameNames, target };
  }
}
