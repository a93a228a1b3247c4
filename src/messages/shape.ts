/** Levels of nesting that are searched for secrets. `MESSAGE_INVALID`, `JOB_INVALID` */
export const MOST_LEVELS = 32;

/**
 * What is wrong with the shape of a JSON value, whatever it says: nested so deep that neither its secrets can be searched for nor
 * it be written again, or with a field that JavaScript would lose on the way.
 */
export function shapeProblem(value: unknown, levels: number = MOST_LEVELS): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return `it is nested deeper than ${MOST_LEVELS} levels`;
  if (Object.hasOwn(value, '__proto__')) return 'it has a field __proto__';
  for (const entry of Object.values(value)) {
    const problem = shapeProblem(entry, levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
