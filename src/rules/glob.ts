import picomatch from 'picomatch';

/**
 * Matches globs as rules use them: `*` stays within one path segment, `**` crosses segments, and a leading `!`
 * excludes. A list that starts with an exclusion includes everything else. Case-sensitive.
 */
export function matchesGlobs(globs: readonly string[], text: string): boolean {
  let matched = globs[0]?.startsWith('!') ?? false;
  for (const glob of globs) {
    const takesAway = glob.startsWith('!');
    if (takesAway === matched && isMatch(takesAway ? glob.slice(1) : glob, text)) matched = !takesAway;
  }
  return matched;
}

/** Characters with a meaning in a glob; neither repositories, tags nor names of rules have them. */
const GLOB_CHARACTER = /[*?[\](){}!|]/;

export function isGlob(text: string): boolean {
  return GLOB_CHARACTER.test(text);
}

/** What every name that matches the glob begins with. */
export function globPrefix(glob: string): string {
  const [prefix = ''] = glob.split(GLOB_CHARACTER, 1);
  return prefix;
}

const compiled = new Map<string, (text: string) => boolean>();
const MOST_COMPILED = 1000;

function isMatch(glob: string, text: string): boolean {
  let matcher = compiled.get(glob);
  if (matcher === undefined) {
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    // `dot`: repositories and tags have no hidden files.
    matcher = picomatch(glob, { dot: true, nonegate: true, strictSlashes: true });
    compiled.set(glob, matcher);
  }
  return matcher(text);
}
