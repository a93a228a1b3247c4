/**
 * A 512-byte header of a tar archive, parsed as Go's archive/tar does, because container runtimes unpack with that.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
export interface TarHeader {
  name: string;
  linkName: string;
  size: number;
  mode: number;
  /** One character; `0` is a regular file, NUL is one in an archive older than POSIX. */
  typeFlag: string;
}

/** Bytes of a header; content is padded to a multiple of it. */
export const TAR_BLOCK = 512;

const UTF8 = new TextDecoder('utf-8');

/** The text of a field, up to the first zero byte. */
export function untilZero(field: Uint8Array): string {
  const end = field.indexOf(0);
  return UTF8.decode(end < 0 ? field : field.subarray(0, end));
}

function text(block: Uint8Array, start: number, length: number): string {
  return untilZero(block.subarray(start, start + length));
}

/** Parses octal digits, or base 256 if the first bit is set. NaN if it is neither. */
function numeric(block: Uint8Array, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) {
    if ((first & 0x40) !== 0) return Number.NaN;
    let value = first & 0x3f;
    for (let index = start + 1; index < start + length; index++) value = value * 256 + (block[index] ?? 0);
    return Number.isSafeInteger(value) ? value : Number.NaN;
  }
  // Zero bytes and spaces at both ends are ignored, as in Go.
  const field = Buffer.from(block.subarray(start, start + length)).toString('latin1');
  const digits = field.replaceAll(/^[ \0]+|[ \0]+$/g, '').split('\0', 1)[0] ?? '';
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** True for a block of zeros; two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** True if the checksum of a block is right, with signed or unsigned bytes. It is all that Go's archive/tar asks of a header. */
export function hasTarChecksum(block: Uint8Array): boolean {
  let unsigned = 8 * 32;
  let signed = 8 * 32;
  for (let index = 0; index < TAR_BLOCK; index++) {
    if (index >= 148 && index < 156) continue;
    const byte = block[index] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const checksum = numeric(block, 148, 8);
  return checksum === unsigned || checksum === signed;
}

/**
 * Parses the header in a block that is not all zeros.
 * @returns a string that says what is wrong if the header is invalid
 */
export function parseTarHeader(block: Uint8Array): TarHeader | string {
  if (!hasTarChecksum(block)) return 'a header has a wrong checksum';
  const size = numeric(block, 124, 12);
  const mode = numeric(block, 100, 8);
  if (Number.isNaN(size) || Number.isNaN(mode)) return 'a header has a field that is no number';
  const magic = text(block, 257, 6);
  // GNU writes "ustar  " and stores times in the place of POSIX's prefix. Older archives have no magic.
  const prefix = magic === 'ustar' ? text(block, 345, text(block, 508, 4) === 'tar' ? 131 : 155) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: text(block, 157, 100),
    size,
    mode,
    typeFlag: String.fromCharCode(block[156] ?? 0),
  };
}

/** Keys of a pax header that are used. Other records are only checked, because a header may have 200,000. */
const USED_KEYS = new Set(['path', 'linkpath', 'size', 'GNU.sparse.major', 'GNU.sparse.map', 'GNU.sparse.name']);
const USED_LENGTHS = new Set([...USED_KEYS].map((key) => key.length));
const [SPACE, NEWLINE, EQUALS, DIGIT_0] = [32, 10, 61, 48] as const;
const MOST_DIGITS = 9;

/**
 * Parses the used records of a pax extended header. Undefined if any record is malformed.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
 */
export function parsePaxRecords(bytes: Uint8Array): Map<string, string> | undefined {
  const records = new Map<string, string>();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let offset = 0; offset < bytes.length;) {
    let length = 0;
    let at = offset;
    for (; at < bytes.length && bytes[at] !== SPACE; at += 1) {
      const digit = (bytes[at] ?? 0) - DIGIT_0;
      if (digit < 0 || digit > 9 || at - offset === MOST_DIGITS) return undefined;
      length = length * 10 + digit;
    }
    const start = at + 1;
    const end = offset + length;
    if (at === offset || end > bytes.length || end <= start || bytes[end - 1] !== NEWLINE) return undefined;
    let equals = start;
    for (; equals < end - 1 && bytes[equals] !== EQUALS; equals += 1) if (bytes[equals] === 0) return undefined;
    if (equals === start || equals === end - 1) return undefined;
    const key = USED_LENGTHS.has(equals - start) ? buffer.toString('latin1', start, equals) : '';
    if (USED_KEYS.has(key)) {
      const value = buffer.toString('utf8', equals + 1, end - 1);
      if ((key === 'path' || key === 'linkpath') && value.includes('\0')) return undefined;
      records.set(key, value);
    }
    offset = end;
  }
  return records;
}
