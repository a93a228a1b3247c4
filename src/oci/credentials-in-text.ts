/** Replaces a user, password or query in a text that must not contain one. */
const HIDDEN = '***';
/** What may precede the user: quotes, brackets and `https://`. */
const LEAD = /^["'(]*(?:(?:[A-Za-z][\w+.-]*:)?\/\/)?/;
/**
 * The `@` that ends user and password. A password may contain `@` too, so the last one counts. An `@` before a digest,
 * or before the placeholder `<digest>` in a remedy, does not count.
 */
const AT = /@(?!sha(?:256|512):|<?digest[>\]])/g;
const QUERY = /\?[^\s"]*/g;
/** White space between words, and a word without quotes. */
const SPACE = /\s+/y;
const BARE = /[^\s"]+/y;
/** Maximum characters of a quoted text that is treated as one word. A longer one is read word by word. */
const MOST_QUOTED = 4000;
/**
 * Maximum characters of a text. A longer one is cut before an incomplete word, because half a password is still a
 * secret.
 */
const MOST_CHARS = 64 * 1024;

/**
 * Removes users, passwords and queries from a message: `https://user:password@registry/…`, `user:password@registry`,
 * `registry?token=…`. A tag followed by a digest stays. The time is proportional to the text's length. A text of more
 * than 64 Ki characters is cut.
 */
export function hideCredentials(text: string): string {
  const part = text.slice(0, MOST_CHARS);
  const isCut = part.length < text.length;
  const endOfQuotes = quotesIn(part);
  const shown: string[] = [];
  for (let at = 0; at < part.length;) {
    const isQuote = part[at] === '"';
    let end = isQuote ? endOfQuotes(at) : endOf(SPACE, part, at);
    const isSpace = !isQuote && end > at;
    if (!isQuote && !isSpace) end = endOf(BARE, part, at);
    // The end of this word may be in the part that was cut off.
    const isOpen = isQuote ? end < 0 && part.length - at <= 2 * MOST_QUOTED + 1 : !isSpace && end === part.length;
    if (isCut && isOpen) break;
    if (end < 0) end = at + 1;
    const piece = part.slice(at, end);
    shown.push(isSpace ? piece : hideInWord(piece));
    at = end;
  }
  return isCut ? `${shown.join('')}…` : shown.join('');
}

/**
 * A user's text in quotes, safe to repeat in a message: credentials are removed ({@link hideCredentials}), then the
 * text is cut, because half a password is still a secret.
 * @param mostChars maximum characters; 200 by default
 */
export function quoted(text: string, mostChars = 200): string {
  return JSON.stringify(hideInWord(text).slice(0, mostChars));
}

function endOf(sticky: RegExp, text: string, at: number): number {
  sticky.lastIndex = at;
  return sticky.test(text) ? sticky.lastIndex : at;
}

/**
 * Returns a function from the position of a quote to the position after its closing quote, or -1 if that is too far
 * away. It is computed once, from the text's end: a search from each quote would take quadratic time for a text of many
 * `\"`.
 */
function quotesIn(text: string): (at: number) => number {
  if (!text.includes('"')) return () => -1;
  const ends = new Int32Array(text.length + 3).fill(-1);
  const counts = new Int32Array(text.length + 3);
  for (let at = text.length - 1; at >= 0; at -= 1) {
    const char = text[at];
    if (char === '"') {
      ends[at] = at + 1;
      continue;
    }
    const isEscape = char === '\\';
    const next = at + (isEscape ? 2 : 1);
    if (isEscape && (next > text.length || /[\n\r\u2028\u2029]/.test(text[at + 1] ?? ''))) continue;
    ends[at] = ends[next] ?? -1;
    counts[at] = (counts[next] ?? 0) + 1;
  }
  return (at) => ((counts[at + 1] ?? 0) <= MOST_QUOTED ? (ends[at + 1] ?? -1) : -1);
}

function hideInWord(word: string): string {
  const at = [...word.matchAll(AT)].at(-1)?.index ?? -1;
  const lead = LEAD.exec(word)?.[0] ?? '';
  const info = word.slice(lead.length, Math.max(at, lead.length));
  // A user alone is not a secret in `me@example.org`, but may be a token in a URL.
  const isHidden = info.includes(':') || (info !== '' && lead.endsWith('//') && !info.includes('/'));
  const rest = isHidden ? `${lead}${HIDDEN}${word.slice(at)}` : word;
  return rest.replaceAll(QUERY, (query) => (query.includes('=') ? `?${HIDDEN}` : query));
}
