/** The deepest nesting that is accepted. `MESSAGE_INVALID`, `JOB_INVALID` */
export const MOST_LEVELS = 32;

/**
 * Reports a JSON value that is nested too deeply to search for secrets and to serialise again, or that has a field
 * `__proto__`, which JavaScript would lose.
 * @returns undefined if there is no problem
 */
export function shapeProblem(value: unknown, levels: number = MOST_LEVELS): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return `the value is nested deeper than ${MOST_LEVELS} levels`;
  if (Object.hasOwn(value, '__proto__')) return 'the value has a field __proto__';
  for (const entry of Object.values(value)) {
    const problem = shapeProblem(entry, levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
