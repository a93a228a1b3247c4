import { LIMITS } from './limits.js';

/** What no event and no job is: nested so deep that neither its secrets can be searched for nor it be written again. */
export const TOO_DEEP = `it is nested deeper than ${LIMITS.depth} levels`;

/** Whether a JSON value goes deeper than {@link LIMITS.depth} levels. */
export function isTooDeep(value: unknown, levels: number = LIMITS.depth): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((entry) => isTooDeep(entry, levels - 1));
}
