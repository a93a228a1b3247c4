import { repeatedNames as pathsOf } from '../oci/index.js';
import { problemAt, type Problem, MOST_PROBLEMS } from './problems.js';

/**
 * Reports the names that an object has twice. JSON parsers silently take the last value, so the sender's intent is
 * unclear.
 * @param text JSON
 */
export function repeatedNames(text: string): Problem[] {
  const problems: Problem[] = [];
  for (const path of pathsOf(text)) {
    problems.push(problemAt(path, 'this name occurs more than once'));
    if (problems.length === MOST_PROBLEMS) break;
  }
  return problems;
}
