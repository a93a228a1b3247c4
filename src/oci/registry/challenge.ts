/** One challenge of a `WWW-Authenticate` header. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`, … */
  scheme: string;
  /** By names in lower case; of a name that comes twice, the first counts. */
  parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[0-9A-Za-z._~+/-]+=*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;
const SPACE = /[ \t]*/y;
const SEPARATORS = /[ \t,]*/y;
/** No server needs more; a header of nothing but commas should not keep us busy. */
const MOST_PARAMETERS = 64;

/**
 * Reads a `WWW-Authenticate` header, or several that were joined by commas. Challenges and their parameters are both
 * separated by commas, so that only what follows a word tells which it is. What can't be read ends the reading: what came
 * before it counts.
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
    // `Negotiate YII=`: a scheme may be followed by one opaque word instead of parameters.
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
