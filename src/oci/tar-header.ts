import { isAscii, isUtf8 } from 'node:buffer';

/**
 * A 512-byte header of a tar archive, parsed as Go's archive/tar does, because container runtimes unpack with that.
 * @see https://github.com/golang/go/blob/go1.26.0/src/archive/tar/reader.go
 */
export interface TarHeader {
  name: string;
  linkName: string;
  /** May be negative in a header without content. */
  size: number;
  mode: number;
  /** One character; `0` is a regular file, NUL is one in an archive older than POSIX. */
  typeFlag: string;
  /** True for GNU's own format, the only one with type `S`. */
  isGnu: boolean;
}

/** Bytes of a header; content is padded to a multiple of it. */
export const TAR_BLOCK = 512;

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
const [NUL, SPACE, NEWLINE, EQUALS, DIGIT_0, DIGIT_7, DIGIT_9] = [0, 32, 10, 61, 48, 55, 57] as const;

/**
 * The text of a name. To Linux and Go a name is bytes: each byte that is not UTF-8 becomes a lone surrogate (U+DC80 to
 * U+DCFF), so that different names stay different, and a byte order mark stays.
 */
export function tarText(bytes: Buffer): string {
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (isUtf8(bytes)) return UTF8.decode(bytes);
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    text +=
      length === 0 ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0)) : UTF8.decode(bytes.subarray(at, at + length));
    at += Math.max(length, 1);
  }
  return text;
}

/** Bytes of the UTF-8 character that starts here; 0 if none does. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** The text of a field, up to the first zero byte. */
export function untilZero(field: Buffer): string {
  return text(field, 0, field.length);
}

/** The text of a field, up to the first zero byte. Most are short and ASCII. */
function text(block: Buffer, start: number, length: number): string {
  let end = start;
  let bits = 0;
  for (; end < start + length && block[end] !== NUL; end += 1) bits |= block[end] ?? 0;
  if (end === start) return '';
  return bits < 0x80 ? block.toString('latin1', start, end) : tarText(block.subarray(start, end));
}

/** Octal digits between zero bytes and spaces; 0 if there is nothing else. NaN if it is no number. */
function octal(block: Uint8Array, start: number, length: number): number {
  let from = start;
  let to = start + length;
  while (from < to && (block[from] === NUL || block[from] === SPACE)) from += 1;
  while (to > from && (block[to - 1] === NUL || block[to - 1] === SPACE)) to -= 1;
  let value = 0;
  for (; from < to && block[from] !== NUL; from += 1) {
    const digit = block[from] ?? 0;
    if (digit < DIGIT_0 || digit > DIGIT_7) return Number.NaN;
    value = value * 8 + digit - DIGIT_0;
  }
  return value;
}

/** Octal digits, or a signed 64-bit number in base 256 if the first bit is set. NaN if it is neither. */
function numeric(block: Uint8Array, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) === 0) return octal(block, start, length);
  const isNegative = (first & 0x40) !== 0;
  const inverted = isNegative ? 0xff : 0;
  let value = BigInt((first ^ inverted) & 0x7f);
  for (let at = start + 1; at < start + length; at += 1) value = value * 256n + BigInt((block[at] ?? 0) ^ inverted);
  if (value >= 1n << 63n) return Number.NaN;
  return Number(isNegative ? -value - 1n : value);
}

/** True for a block of zeros; two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < TAR_BLOCK; at += 1) if (block[at] !== NUL) return false;
  return true;
}

/** True if the checksum of a block is right, with signed or unsigned bytes. */
export function hasTarChecksum(block: Uint8Array): boolean {
  const checksum = octal(block, 148, 8);
  // The checksum itself counts as spaces.
  let unsigned = 8 * 32;
  for (let index = 0; index < 148; index++) unsigned += block[index] ?? 0;
  for (let index = 156; index < TAR_BLOCK; index++) unsigned += block[index] ?? 0;
  if (checksum === unsigned) return true;
  let negative = 0;
  for (let index = 0; index < TAR_BLOCK; index++) if (index < 148 || index >= 156) negative += (block[index] ?? 0) >> 7;
  return checksum === unsigned - 256 * negative;
}

const GNU_MAGIC = Buffer.from('ustar  \0');
const POSIX_MAGIC = Buffer.from('ustar\0');
const STAR_MAGIC = Buffer.from('tar\0');

function has(block: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if (block[start + at] !== bytes[at]) return false;
  return true;
}

function isNumber(block: Uint8Array, start: number, length: number): boolean {
  return !Number.isNaN(numeric(block, start, length));
}

/** GNU tar stores times where POSIX has a prefix. A zero byte is no time and no prefix. */
function isNoTime(block: Uint8Array, start: number): boolean {
  return block[start] !== NUL && !isNumber(block, start, 12);
}

/**
 * Parses the header in a block that is not all zeros.
 * @returns a string that says what is wrong if the header is invalid
 */
export function parseTarHeader(block: Buffer): TarHeader | string {
  if (!hasTarChecksum(block)) return 'a header has a wrong checksum';
  const size = numeric(block, 124, 12);
  const mode = numeric(block, 100, 8);
  const isGnu = has(block, 257, GNU_MAGIC);
  const isPosix = has(block, 257, POSIX_MAGIC);
  const isStar = isPosix && has(block, 508, STAR_MAGIC);
  // The numbers of owner, group and time; those of a device; the two times in an archive by `star`.
  const areNumbers =
    isNumber(block, 108, 8) &&
    isNumber(block, 116, 8) &&
    isNumber(block, 136, 12) &&
    (!(isGnu || isPosix) || (isNumber(block, 329, 8) && isNumber(block, 337, 8))) &&
    (!isStar || (isNumber(block, 476, 12) && isNumber(block, 488, 12)));
  if (Number.isNaN(size) || Number.isNaN(mode) || !areNumbers) return 'a header has a field that is no number';
  let prefix = '';
  if (isPosix) prefix = text(block, 345, isStar ? 131 : 155);
  // GNU tar stores times in these bytes, but an old version of Go wrote a name prefix there. So Go reads a prefix if
  // they are no numbers.
  else if (isGnu && (isNoTime(block, 345) || isNoTime(block, 357))) {
    const end = block.subarray(345, 500).indexOf(NUL);
    const field = block.subarray(345, end < 0 ? 500 : 345 + end);
    if (isAscii(field)) prefix = tarText(field);
  }
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: text(block, 157, 100),
    size,
    mode,
    typeFlag: String.fromCharCode(block[156] ?? 0),
    isGnu,
  };
}

/** Keys of a pax header that are used. Other records are only checked, because a header may have 200,000. */
const USED_KEYS = new Set([
  'path',
  'linkpath',
  'size',
  'uid',
  'gid',
  'atime',
  'mtime',
  'ctime',
  'uname',
  'gname',
  'GNU.sparse.major',
  'GNU.sparse.minor',
  'GNU.sparse.map',
  'GNU.sparse.name',
  'GNU.sparse.offset',
  'GNU.sparse.numbytes',
]);
const USED_LENGTHS = new Set([...USED_KEYS].map((key) => key.length));
/** Attributes by which overlayfs hides or moves content: `SCHILY.xattr.trusted.overlay.opaque`. */
const OVERLAY_KEY = /^SCHILY\.xattr\.(?:trusted|user)\.overlay\./;
const XATTR = Buffer.from('SCHILY.xattr.');
const WITHOUT_ZEROS = new Set(['path', 'linkpath', 'uname', 'gname']);
/** Digits that a length needs at most: headers have less than a gigabyte. Zeros before them are not counted. */
const MOST_DIGITS = 9;

/** The records of a pax header that are used. A record with an empty value counts as absent. */
export interface PaxRecords extends ReadonlyMap<string, string> {}

/**
 * Parses the used records of a pax extended header. Undefined if any record is malformed.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
 */
export function parsePaxRecords(bytes: Buffer): PaxRecords | undefined {
  const records = new Map<string, string>();
  let sparseFields = 0;
  let sparseMap = '';
  for (let offset = 0; offset < bytes.length;) {
    const found = recordAt(bytes, offset);
    if (found === undefined) return undefined;
    const { start, equals, end } = found;
    offset = end;
    const length = equals - start;
    const isXattr = length > XATTR.length && bytes[start] === XATTR[0];
    if (!USED_LENGTHS.has(length) && !isXattr) continue;
    const key = bytes.toString('latin1', start, equals);
    if (isXattr && OVERLAY_KEY.test(key)) records.set('overlay', key);
    if (!USED_KEYS.has(key)) continue;
    const value = tarText(bytes.subarray(equals + 1, end - 1));
    if (WITHOUT_ZEROS.has(key) && value.includes('\0')) return undefined;
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      // The oldest form repeats these two, one after the other.
      if ((sparseFields % 2 === 0) !== (key === 'GNU.sparse.offset') || value.includes(',')) return undefined;
      sparseFields += 1;
      sparseMap = sparseFields === 1 ? value : 'repeated';
    } else records.set(key, value);
  }
  if (sparseFields > 0) records.set('GNU.sparse.map', sparseMap);
  return records;
}

function recordAt(bytes: Buffer, offset: number): { start: number; equals: number; end: number } | undefined {
  let length = 0;
  let digits = 0;
  let at = offset;
  // Go takes a plus before the length of a record.
  if (bytes[at] === 0x2b) at += 1;
  const first = at;
  for (; at < bytes.length && bytes[at] !== SPACE; at += 1) {
    const digit = bytes[at] ?? 0;
    if (digit < DIGIT_0 || digit > DIGIT_9) return undefined;
    length = length * 10 + digit - DIGIT_0;
    if (length > 0) digits += 1;
    if (digits > MOST_DIGITS) return undefined;
  }
  const start = at + 1;
  const end = offset + length;
  if (at === first || length < 5 || end > bytes.length || end <= start || bytes[end - 1] !== NEWLINE) return undefined;
  let equals = start;
  for (; equals < end - 1 && bytes[equals] !== EQUALS; equals += 1) if (bytes[equals] === NUL) return undefined;
  return equals === start || equals === end - 1 ? undefined : { start, equals, end };
}

/** A signed 64-bit number in decimal digits, as Go's strconv.ParseInt reads it; NaN if it is none. */
function int64(value: string): number {
  const [, sign, digits] = /^([+-]?)0*([0-9]{1,19})$/.exec(value) ?? [];
  if (digits === undefined) return Number.NaN;
  const number = BigInt(`${sign === '-' ? '-' : ''}${digits}`);
  return number >= -(1n << 63n) && number < 1n << 63n ? Number(number) : Number.NaN;
}

/** Nearly all times. */
const SHORT_TIME = /^[0-9]{1,15}(?:\.[0-9]*)?$/;
const NUMBERS = ['size', 'uid', 'gid'];
const TIMES = ['atime', 'mtime', 'ctime'];

function isInteger(value = ''): boolean {
  return value === '' || !Number.isNaN(int64(value));
}

function isTime(value = ''): boolean {
  if (value === '' || SHORT_TIME.test(value)) return true;
  const point = value.includes('.') ? value.indexOf('.') : value.length;
  return !Number.isNaN(int64(value.slice(0, point))) && /^[0-9]*$/.test(value.slice(point + 1));
}

/**
 * The size that a pax header states; undefined if it states none.
 * @returns a string that says what is wrong if a number in it is none
 */
export function paxSize(records: PaxRecords): number | undefined | string {
  if (records.size === 0) return undefined;
  if (!NUMBERS.every((key) => isInteger(records.get(key))) || !TIMES.every((key) => isTime(records.get(key))))
    return 'a pax header has a field that is no number';
  const size = records.get('size') ?? '';
  return size === '' ? undefined : int64(size);
}

/** True if a pax header describes a sparse file, in a version that Go reads. */
export function isPaxSparse(records: PaxRecords): boolean {
  const major = records.get('GNU.sparse.major') ?? '';
  const minor = records.get('GNU.sparse.minor') ?? '';
  if (major === '' && minor === '') return (records.get('GNU.sparse.map') ?? '') !== '';
  const version = `${major}.${minor}`;
  return version === '0.0' || version === '0.1' || version === '1.0';
}
