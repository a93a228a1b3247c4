import { PromoterError } from '../../src/oci/index.js';

/** The code of the error that an action throws, undefined where it throws none; what is not ours goes through. */
export function codeOf(action: () => unknown): string | undefined {
  return errorOf(action)?.code;
}

/** Where the thrown error says the problems are. */
export function problemPaths(action: () => unknown): unknown[] {
  const problems = errorOf(action)?.details.problems;
  return Array.isArray(problems) ? problems.map((problem: { path?: unknown }) => problem.path) : [];
}

export function errorOf(action: () => unknown): PromoterError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof PromoterError) return error;
    throw error;
  }
}
