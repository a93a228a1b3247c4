/** One challenge of a `WWW-Authenticate` header. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`, … */
  scheme: string;
  /** By name, in lower case. If a name occurs twice, the first value is used. */
  parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[0-9A-Za-z._~+/-]+=*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;
const SPACE = /[ \t]*/y;
const SEPARATORS = /[ \t,]*/y;
/** Maximum challenges and parameters in a header, so that a header full of commas cannot keep the process busy. */
const MOST_PARAMETERS = 64;

/**
 * Parses a `WWW-Authenticate` header, or several headers joined by commas. Commas separate challenges as well as
 * parameters, so what follows a word decides which of both it is. Parsing stops at the first error and returns what
 * came before it.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export function parseChallenges(header: string): Challenge[] {
  let position = 0;
  const read = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(header);
    if (match === null) return undefined;
    position = pattern.lastIndex;
    return match;
  };
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let parameterCount = 0;
  while (position < header.length && parameterCount < MOST_PARAMETERS && challenges.length < MOST_PARAMETERS) {
    read(SEPARATORS);
    const word = read(TOKEN)?.[0].toLowerCase();
    if (word === undefined) break;
    const afterWord = position;
    read(SPACE);
    const current = challenges.at(-1);
    if (current !== undefined && header[position] === '=') {
      position += 1;
      read(SPACE);
      const quoted = read(QUOTED)?.[1]?.replaceAll(/\\(.)/gs, '$1');
      const value = quoted ?? read(TOKEN)?.[0];
      if (value === undefined) break;
      if (!current.parameters.has(word)) current.parameters.set(word, value);
      parameterCount += 1;
      continue;
    }
    challenges.push({ scheme: word, parameters: new Map() });
    // A scheme may be followed by one opaque word instead of parameters: `Negotiate YII=`.
    const beforeOpaque = position;
    if (position > afterWord && read(TOKEN68) !== undefined) {
      const afterOpaque = position;
      read(SPACE);
      const ends = position >= header.length || header[position] === ',';
      if (!ends || header[afterOpaque - 1] === undefined) position = beforeOpaque;
    }
  }
  return challenges;
}
