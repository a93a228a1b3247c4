import { LONGEST_NAME } from './cataloger.js';

/** Maximum characters of a field that lists packages. The longest real ones have 20,000. */
const LONGEST_LIST = 64 * 1024;

/** One paragraph of a Debian control file. Of most fields only the first line is kept; fields that are lists keep all lines. */
export interface Paragraph {
  /** By field name, in lower case. */
  fields: ReadonlyMap<string, string>;
  /** True if a value was too long to keep. */
  isCut: boolean;
  /** True if a list was too long to keep. */
  isListCut: boolean;
}

const [NEWLINE, TAB, RETURN, SPACE, HASH, COLON] = [10, 9, 13, 32, 35, 58] as const;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/**
 * Yields the paragraphs of a Debian control file. Continuation lines are skipped, but for those of lists. Lines are
 * read in place: a decoded text of the whole file would stay in memory as long as any name sliced from it.
 * @param wanted names of fields, in lower case
 * @param lists those of them that list packages: they may be long, and have continuation lines
 * @see https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files
 */
export function* parseControlFile(
  bytes: Uint8Array,
  wanted: ReadonlySet<string>,
  lists: ReadonlySet<string> = new Set(),
): Generator<Paragraph> {
  const longestName = Math.max(...[...wanted].map((name) => name.length));
  let fields = new Map<string, string>();
  let [isCut, isListCut, hasLines] = [false, false, false];
  /** The list whose continuation lines may follow. */
  let list: string | undefined;
  let start = BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte) ? BYTE_ORDER_MARK.length : 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    if (isBlank(bytes, start, end)) {
      if (hasLines) yield { fields, isCut, isListCut };
      fields = new Map();
      list = undefined;
      [isCut, isListCut, hasLines] = [false, false, false];
    } else if (bytes[start] === SPACE || bytes[start] === TAB) {
      if (list !== undefined && !keepList(list, start, end)) isListCut = true;
    } else if (bytes[start] !== HASH) {
      const colon = bytes.subarray(start, end).indexOf(COLON);
      hasLines ||= colon > 0;
      const name = colon < 1 || colon > longestName ? '' : textOf(bytes, start, start + colon).toLowerCase();
      list = lists.has(name) ? name : undefined;
      if (list !== undefined) {
        fields.delete(list);
        if (!keepList(list, start + colon + 1, end)) isListCut = true;
      } else if (wanted.has(name)) {
        const value = textOf(bytes, start + colon + 1, Math.min(end, start + colon + 4 * LONGEST_NAME)).trim();
        if (end - start - colon > 4 * LONGEST_NAME || value.length > LONGEST_NAME) isCut = true;
        else fields.set(name, value);
      }
    }
    start = end + 1;
  }
  if (hasLines) yield { fields, isCut, isListCut };

  function keepList(name: string, from: number, to: number): boolean {
    const before = fields.get(name) ?? '';
    const isKept = before.length + to - from <= LONGEST_LIST;
    if (isKept) fields.set(name, `${before} ${textOf(bytes, from, to).trim()}`.trim());
    return isKept;
  }
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
