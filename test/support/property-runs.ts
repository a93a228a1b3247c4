/** How often a property is tried: so often in the full run (FULL), a fifth of that by default, where every second counts. */
export function propertyRuns(most: number): number {
  return process.env.FULL === '1' ? most : Math.ceil(most / 5);
}
