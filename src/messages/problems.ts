import type { z } from 'zod';
import { repeatedNames as pathsOf } from '../oci/index.js';

/** The most problems in one error. */
export const MOST_PROBLEMS = 50;

/** One problem and its position, for example `data.target.repository`. */
export interface Problem {
  path: string;
  message: string;
}

/** The problems of a failed parse: paths and messages, never values. */
export function problemsOf(error: z.ZodError, prefix: readonly PropertyKey[] = []): Problem[] {
  return error.issues.slice(0, MOST_PROBLEMS).map((issue) => problemAt([...prefix, ...issue.path], issue.message));
}

function problemAt(path: readonly PropertyKey[], message: string): Problem {
  return { path: inOneLine(path.map(String).join('.')), message: inOneLine(message) };
}

/**
 * Names come from the sender, so the text is cut and control characters and line breaks are replaced, to protect the
 * log.
 */
function inOneLine(text: string): string {
  return text.slice(0, 300).replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

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

/** The most problems that a message lists. */
export const PROBLEMS_IN_MESSAGE = 5;

/** Formats problems for an error message, for example `repository: must be a string; tag: …`. */
export function listProblems(problems: readonly Problem[]): string {
  const shown = problems
    .slice(0, PROBLEMS_IN_MESSAGE)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  return [
    ...shown,
    ...(problems.length > PROBLEMS_IN_MESSAGE ? [`and ${problems.length - PROBLEMS_IN_MESSAGE} more`] : []),
  ].join('; ');
}
