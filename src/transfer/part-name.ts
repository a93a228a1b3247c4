/** The document of a part of a copy. Deterministic: orchestrations name parts by it. @param wave and index count from 0 */
export function partName(folder: string, wave: number, index: number): string {
  return `${folder}/${wave}-${index}.json`;
}
