import picomatch from 'picomatch';

/**
 * Globs as rules write them: `*` stays within one path segment, `**` crosses them, `!` at the start takes away. A list whose
 * first entry takes away starts from everything. Case counts.
 */
export function matchesGlobs(globs: readonly string[], text: string): boolean {
  let matched = globs[0]?.startsWith('!') ?? false;
  for (const glob of globs) {
    const takesAway = glob.startsWith('!');
    if (takesAway === matched && isMatch(takesAway ? glob.slice(1) : glob, text)) matched = !takesAway;
  }
  return matched;
}

const compiled = new Map<string, (text: string) => boolean>();
const MOST_COMPILED = 1000;

function isMatch(glob: string, text: string): boolean {
  let matcher = compiled.get(glob);
  if (matcher === undefined) {
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    // Repositories and tags have no hidden files, and brackets or braces in them would be refused anyway.
    matcher = picomatch(glob, { dot: true, nonegate: true, strictSlashes: true });
    compiled.set(glob, matcher);
  }
  return matcher(text);
}
