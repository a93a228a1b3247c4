import type { z } from 'zod';

/** Problems that one error lists. */
export const MOST_PROBLEMS = 50;

/** One thing that is wrong, and where: `data.target.repository`. */
export interface Problem {
  path: string;
  message: string;
}

/** What a failed parse found, as JSON: paths and messages, and nothing of the values. */
export function problemsOf(error: z.ZodError, prefix: readonly PropertyKey[] = []): Problem[] {
  return error.issues.slice(0, MOST_PROBLEMS).map((issue) => problemAt([...prefix, ...issue.path], issue.message));
}

export function problemAt(path: readonly PropertyKey[], message: string): Problem {
  return { path: inOneLine(path.map(String).join('.')), message: inOneLine(message) };
}

/** Names in it are the sender's: cut, and without what would begin a line of its own in a log. */
function inOneLine(text: string): string {
  return text.slice(0, 300).replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

/** `repository: Invalid input; tag: …`, for an error's message. */
export function listProblems(problems: readonly Problem[]): string {
  const shown = problems.slice(0, 5).map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  return [...shown, ...(problems.length > 5 ? [`and ${problems.length - 5} more`] : [])].join('; ');
}
