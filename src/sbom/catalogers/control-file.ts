import { LONGEST_NAME } from './cataloger.js';
import { linesOf } from './lines.js';

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
const BLANKS: readonly number[] = [SPACE, TAB, RETURN];
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
  for (const line of linesOf(bytes.subarray(start))) {
    if (line.every((byte) => BLANKS.includes(byte))) {
      if (hasLines) yield { fields, isCut, isListCut };
      fields = new Map();
      list = undefined;
      [isCut, isListCut, hasLines] = [false, false, false];
    } else if (line[0] === SPACE || line[0] === TAB) {
      if (list !== undefined && !keepList(list, line)) isListCut = true;
    } else if (line[0] !== HASH) {
      const colon = line.indexOf(COLON);
      hasLines ||= colon > 0;
      const name = colon < 1 || colon > longestName ? '' : line.toString('utf8', 0, colon).toLowerCase();
      list = lists.has(name) ? name : undefined;
      if (list !== undefined) {
        fields.delete(list);
        if (!keepList(list, line.subarray(colon + 1))) isListCut = true;
      } else if (wanted.has(name)) {
        const value = line.toString('utf8', colon + 1, colon + 4 * LONGEST_NAME).trim();
        if (line.length - colon > 4 * LONGEST_NAME || value.length > LONGEST_NAME) isCut = true;
        else fields.set(name, value);
      }
    }
  }
  if (hasLines) yield { fields, isCut, isListCut };

  function keepList(name: string, line: Buffer): boolean {
    const before = fields.get(name) ?? '';
    const isKept = before.length + line.length <= LONGEST_LIST;
    if (isKept) fields.set(name, `${before} ${line.toString('utf8').trim()}`.trim());
    return isKept;
  }
}
