/** Puts many tags on one manifest: `v0000`, `v0001`, … */
export function putTags<D extends string>(tags: Map<string, D>, digest: D, count: number): string[] {
  const width = String(count - 1).length;
  const names = Array.from({ length: count }, (_, index) => `v${String(index).padStart(width, '0')}`);
  for (const name of names) tags.set(name, digest);
  return names;
}
