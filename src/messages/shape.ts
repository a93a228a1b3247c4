import { LIMITS } from './limits.js';

/**
 * What is wrong with the shape of a JSON value, whatever it says: nested so deep that neither its secrets can be searched for nor
 * it be written again, or with a field that JavaScript would lose on the way.
 */
export function shapeProblem(value: unknown, levels: number = LIMITS.depth): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return `it is nested deeper than ${LIMITS.depth} levels`;
  if (Object.hasOwn(value, '__proto__')) return 'it has a field __proto__';
  for (const entry of Object.values(value)) {
    const problem = shapeProblem(entry, levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
