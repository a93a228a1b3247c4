/** How often a property is tried: so often in the full run (FULL), a fifth of that by default, where every second counts. */
export function propertyRuns(most: number, usual = Math.ceil(most / 5)): number {
  return process.env.FULL === '1' ? most : usual;
}
