import { repeatedNames as pathsOf } from '../oci/index.js';
import { problemAt, type Problem, MOST_PROBLEMS } from './problems.js';

/**
 * Names that an object has twice, where JSON's readers take the last and say nothing: who wrote them meant two things.
 * @param text JSON
 */
export function repeatedNames(text: string): Problem[] {
  const problems: Problem[] = [];
  for (const path of pathsOf(text)) {
    problems.push(problemAt(path, 'it stands there more than once'));
    if (problems.length === MOST_PROBLEMS) break;
  }
  return problems;
}
