import { LONGEST_NAME } from './cataloger.js';

/** One paragraph of a Debian control file: the first line of each requested field. */
export interface Paragraph {
  /** By field name, in lower case. */
  fields: ReadonlyMap<string, string>;
  /** True if a value was too long to keep. */
  isCut: boolean;
}

const [NEWLINE, TAB, RETURN, SPACE, HASH, COLON] = [10, 9, 13, 32, 35, 58] as const;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/**
 * Yields the paragraphs of a Debian control file. Continuation lines (descriptions, lists of files) are skipped. Lines
 * are read in place: a decoded text of the whole file would stay in memory as long as any name sliced from it.
 * @param wanted names of fields, in lower case
 * @see https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files
 */
export function* parseControlFile(bytes: Uint8Array, wanted: ReadonlySet<string>): Generator<Paragraph> {
  const longestName = Math.max(...[...wanted].map((name) => name.length));
  let fields = new Map<string, string>();
  let [isCut, hasLines] = [false, false];
  let start = BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte) ? BYTE_ORDER_MARK.length : 0;
  while (start < bytes.length) {
    let end = start;
    while (end < bytes.length && bytes[end] !== NEWLINE) end += 1;
    if (isBlank(bytes, start, end)) {
      if (hasLines) yield { fields, isCut };
      fields = new Map();
      [isCut, hasLines] = [false, false];
    } else if (bytes[start] !== SPACE && bytes[start] !== TAB && bytes[start] !== HASH) {
      const colon = bytes.subarray(start, end).indexOf(COLON);
      hasLines ||= colon > 0;
      const name = colon < 1 || colon > longestName ? '' : textOf(bytes, start, start + colon).toLowerCase();
      if (wanted.has(name)) {
        const value = textOf(bytes, start + colon + 1, Math.min(end, start + colon + 4 * LONGEST_NAME)).trim();
        if (end - start - colon > 4 * LONGEST_NAME || value.length > LONGEST_NAME) isCut = true;
        else fields.set(name, value);
      }
    }
    start = end + 1;
  }
  if (hasLines) yield { fields, isCut };
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== TAB && byte !== RETURN) return false;
  }
  return true;
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}
