/** What to do about the wire's and the bytes' own codes, which are thrown where nobody knows of runs. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/^(?:DIGEST|SIZE)_MISMATCH$/, 'Push the image again: its bytes are broken where they are kept, or on the way.'],
  [/^(?:MANIFEST|DESCRIPTOR)_INVALID$/, 'Push the image again with a client that follows the image specification 1.1.'],
  [/^(?:MANIFEST_)?BLOB_UNKNOWN$/, 'Push the image again: a part of it is not in this repository.'],
  [/^NAME_INVALID$/, 'Give the rule a destination whose repository has a name that this registry takes.'],
  [/^(?:TIMEOUT|STALLED|CONNECTION_CLOSED)$/, 'Look at the network between, and at the registry.'],
  [/^HTTP_5\d\d$/, 'Look at the registry, and at proxies before it: it is broken, or has too much to do.'],
  [/^HTTP_4\d\d$/, 'Look at the registry: it takes no such request, or not of this image.'],
];

/** For a run that ends with a code that came without a remedy. */
export function remedyFor(code: string): string {
  return REMEDIES.find(([codes]) => codes.test(code))?.[1] ?? 'docs/errors.md has the code, and what to do about it.';
}
