/**
 * Collects the values of a repeatable option, as in oras. Commander's variadic options would also take the operands
 * that follow.
 */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** The values of a repeatable option. */
export function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
