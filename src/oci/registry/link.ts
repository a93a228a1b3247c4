/** Maximum characters of a Link header. A longer one is ignored. */
const LONGEST = 16 * 1024;
/**
 * One entry of the header. A value has at least one character: if it could be empty, the spaces after `=` could be
 * matched in many ways.
 */
const ENTRY = /<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+(?:\s*=(?:\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"<>]+))?)?)*)\s*(?:,|$)/y;
const PARAMETER = /;\s*([^\s=;,"<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"<>]*)))?/g;

/**
 * The target of `rel="next"` in a Link header, unchanged: relative or absolute. Undefined if there is none.
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
