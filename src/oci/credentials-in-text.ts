/** Stands where somebody wrote a user, a password or a query into what takes none. */
const HIDDEN = '***';
/** What may stand before the user: `https://`. */
const LEAD = /^["'(]*(?:(?:[A-Za-z][\w+.-]*:)?\/\/)?/;
/** Ends a user and a password; a password may have one in it, and a digest stands behind one, or the word for it in a remedy. */
const AT = /@(?!sha(?:256|512):|<?digest[>\]])/g;
const QUERY = /\?[^\s"]*/g;
/** What is quoted is one word. Bounded: a text that doesn't end its quotes isn't gone over again and again. */
const WORD = /"(?:\\.|[^"\\]){0,4000}"|[^\s"]+/g;

/**
 * A message without users, passwords and queries, as they come to stand in it where somebody wrote them into a reference or a URL:
 * `https://user:password@registry/…`, `user:password@registry`, `registry?token=…`. A tag at a digest stays.
 */
export function hideCredentials(text: string): string {
  return text.replaceAll(WORD, hideInWord);
}

/**
 * What somebody wrote, in quotes, as a message may repeat it: without credentials ({@link hideCredentials}), and then cut, since
 * half a password is one too.
 * @param mostChars of it
 */
export function quoted(text: string, mostChars = 200): string {
  return JSON.stringify(hideInWord(text).slice(0, mostChars));
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
