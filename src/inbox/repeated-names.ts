import { LIMITS } from './limits.js';
import { problemAt, type Problem } from './problems.js';

/** A string, with the colon behind it where it is a name; or what opens, closes or goes on. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[[\]{},]/g;

/**
 * Names that an object has twice, where JSON's readers take the last and say nothing: who wrote them meant two things.
 * @param text JSON
 */
export function repeatedNames(text: string): Problem[] {
  const problems: Problem[] = [];
  /** What is open: names of an object, or where in a list we are. */
  const open: ({ names: Set<string>; name: string } | { index: number })[] = [];
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (problems.length === LIMITS.problems) break;
    const within = open.at(-1);
    if (token === '{') open.push({ names: new Set(), name: '' });
    else if (token === '[') open.push({ index: 0 });
    else if (token === '}' || token === ']') open.pop();
    else if (within === undefined) continue;
    else if ('index' in within) within.index += token === ',' ? 1 : 0;
    else if (colon !== undefined) {
      within.name = String(JSON.parse(token.slice(0, -colon.length)));
      if (within.names.has(within.name)) {
        const path = open.map((each) => ('index' in each ? each.index : each.name));
        problems.push(problemAt(path, 'it stands there more than once'));
      }
      within.names.add(within.name);
    }
  }
  return problems;
}
