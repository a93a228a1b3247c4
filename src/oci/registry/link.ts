/** The longest Link header that is looked at. */
const LONGEST = 16 * 1024;
/** A value has a character at least: spaces behind `=` that belonged to an empty one as well would be divided in every way. */
const ENTRY = /<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+(?:\s*=(?:\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"<>]+))?)?)*)\s*(?:,|$)/y;
const PARAMETER = /;\s*([^\s=;,"<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"<>]*)))?/g;

/**
 * The target of `rel="next"` in a Link header, as it stands there: relative or absolute.
 * @see https://www.rfc-editor.org/rfc/rfc8288#section-3
 */
export function nextLink(header: string | undefined): string | undefined {
  if (header === undefined || header.length > LONGEST) return undefined;
  let position = 0;
  while (position < header.length) {
    while (/[\s,]/.test(header[position] ?? '')) position += 1;
    ENTRY.lastIndex = position;
    const entry = ENTRY.exec(header);
    if (entry === null) return undefined;
    position = ENTRY.lastIndex;
    for (const [, name, quoted, bare] of (entry[2] ?? '').matchAll(PARAMETER)) {
      if (name?.toLowerCase() !== 'rel') continue;
      const relations = (quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '').toLowerCase().split(/\s+/);
      if (relations.includes('next')) return entry[1];
      break;
    }
  }
  return undefined;
}
