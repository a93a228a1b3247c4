/** Stands where somebody wrote a user, a password or a query into what takes none. */
const HIDDEN = '***';
/** What may stand before the user: `https://`. */
const LEAD = /^["'(]*(?:(?:[A-Za-z][\w+.-]*:)?\/\/)?/;
/** Ends a user and a password; a password may have one in it, and a digest stands behind one, or the word for it in a remedy. */
const AT = /@(?!sha(?:256|512):|<?digest[>\]])/g;
const QUERY = /\?[^\s"]*/g;
/** Of what is between words, or of a word without quotes. */
const SPACE = /\s+/y;
const BARE = /[^\s"]+/y;
/** Characters and escapes in quotes that are one word. What doesn't end its quotes within them is read word by word. */
const MOST_QUOTED = 4000;
/** A longer text is cut, before the word that is cut: half a password is one too. */
const MOST_CHARS = 64 * 1024;

/**
 * A message without users, passwords and queries, as they come to stand in it where somebody wrote them into a reference or a URL:
 * `https://user:password@registry/…`, `user:password@registry`, `registry?token=…`. A tag at a digest stays. Takes time in
 * proportion to the text's length; more than 64 Ki characters are cut.
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
    // Its end may be in what was cut off.
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
 * What somebody wrote, in quotes, as a message may repeat it: without credentials ({@link hideCredentials}), and then cut, since
 * half a password is one too.
 * @param mostChars of it
 */
export function quoted(text: string, mostChars = 200): string {
  return JSON.stringify(hideInWord(text).slice(0, mostChars));
}

function endOf(sticky: RegExp, text: string, at: number): number {
  sticky.lastIndex = at;
  return sticky.test(text) ? sticky.lastIndex : at;
}

/**
 * Finds where what begins with a quote at a position ends: behind the next quote that no backslash escapes, or -1 if that is too far
 * away. Worked out from the text's end, once for all positions: searched for from each quote, `\"` again and again takes thousands
 * of steps at each.
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
  // A user alone is no secret in `me@example.org`, and may be a token in a URL.
  const isHidden = info.includes(':') || (info !== '' && lead.endsWith('//') && !info.includes('/'));
  const rest = isHidden ? `${lead}${HIDDEN}${word.slice(at)}` : word;
  return rest.replaceAll(QUERY, (query) => (query.includes('=') ? `?${HIDDEN}` : query));
}
