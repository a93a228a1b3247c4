/** One paragraph of a Debian control file: fields in lower case, first line only. */
export type Paragraph = ReadonlyMap<string, string>;

/**
 * Paragraphs of a Debian control file. Continuation lines (descriptions, lists of files) are passed over.
 * @see https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files
 */
export function* parseControlFile(text: string): Generator<Paragraph> {
  let paragraph = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (/^[ \t\r]*$/.test(line)) {
      if (paragraph.size > 0) yield paragraph;
      paragraph = new Map();
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 1 || line.startsWith(' ') || line.startsWith('\t') || line.startsWith('#')) continue;
    paragraph.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  if (paragraph.size > 0) yield paragraph;
}
