import { LONGEST_NAME } from './cataloger.js';
import { Lines } from './lines.js';

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

const [TAB, RETURN, SPACE, HASH, COLON] = [9, 13, 32, 35, 58] as const;
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
  const start = BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte) ? BYTE_ORDER_MARK.length : 0;
  const lines = new Lines(bytes.subarray(start));
  while (lines.next()) {
    const first = lines.bytes[lines.start];
    if (isBlank(lines)) {
      if (hasLines) yield { fields, isCut, isListCut };
      fields = new Map();
      list = undefined;
      [isCut, isListCut, hasLines] = [false, false, false];
    } else if (first === SPACE || first === TAB) {
      if (list !== undefined && !keepList(list, 0)) isListCut = true;
    } else if (first !== HASH) {
      const colon = colonOf(lines);
      hasLines ||= colon > 0;
      const name = colon < 1 || colon > longestName ? '' : lines.text(0, colon).toLowerCase();
      list = lists.has(name) ? name : undefined;
      if (list !== undefined) {
        fields.delete(list);
        if (!keepList(list, colon + 1)) isListCut = true;
      } else if (wanted.has(name)) {
        const value = lines.text(colon + 1, colon + 4 * LONGEST_NAME).trim();
        if (lines.end - lines.start - colon > 4 * LONGEST_NAME || value.length > LONGEST_NAME) isCut = true;
        else fields.set(name, value);
      }
    }
  }
  if (hasLines) yield { fields, isCut, isListCut };

  function keepList(name: string, from: number): boolean {
    const before = fields.get(name) ?? '';
    const isKept = before.length + lines.end - lines.start - from <= LONGEST_LIST;
    if (isKept) fields.set(name, `${before} ${lines.text(from).trim()}`.trim());
    return isKept;
  }
}

function isBlank({ bytes, start, end }: Lines): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== TAB && byte !== RETURN) return false;
  }
  return true;
}

/** Where the first colon of the line is, from its start; -1 if it has none. */
function colonOf({ bytes, start, end }: Lines): number {
  for (let at = start; at < end; at += 1) if (bytes[at] === COLON) return at - start;
  return -1;
}
