/** Remedies for error codes that have none of their own: errors of registries, connections and content. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/^(?:DIGEST|SIZE)_MISMATCH$/, 'Push the image again: its bytes were damaged in the registry or on the way.'],
  [/^(?:MANIFEST|DESCRIPTOR)_INVALID$/, 'Push the image again with a client that follows the image specification 1.1.'],
  [/^(?:MANIFEST_)?BLOB_UNKNOWN$/, 'Push the image again: a part of it is missing in this repository.'],
  [/^NAME_INVALID$/, 'Change the destination of the rule: the registry refuses this repository name.'],
  [/^(?:TIMEOUT|STALLED|CONNECTION_CLOSED)$/, 'Check the network and the registry.'],
  [/^HTTP_5\d\d$/, 'Check the registry and its proxies: it fails or is overloaded.'],
  [/^HTTP_4\d\d$/, 'Check the registry: it refuses this request, or this image.'],
  [/^TOO_LARGE$/, 'Push it in smaller parts, or pull it with acr-promoter pull: a job unpacks no more.'],
  [/^PATH_OUTSIDE$/, 'Push it again with file names inside one folder: a job writes files only below "output".'],
  [
    /^FILE_NAME_DUPLICATE$/,
    'Give each file its own name, and none the name of a folder of another. This artifact can be copied, but not pulled.',
  ],
  [
    /^REFERRER_LOST$/,
    'Try again. If it fails again, the registry does not store its list of referrers: ask its operator.',
  ],
  [/^PATH_ABSOLUTE$/, 'Push the files with paths relative to their folder.'],
];

/** True if a remedy names an option of the command line, which a run does not have. */
function namesOption(remedy: string): boolean {
  return /(?<![\w-])--[a-z]/.test(remedy) && !/\baz /.test(remedy);
}

/** The remedy of a run that ends with a code. A remedy for the command line is replaced. */
export function remedyFor(code: string, remedy?: string): string {
  if (remedy !== undefined && !namesOption(remedy)) return remedy;
  return REMEDIES.find(([codes]) => codes.test(code))?.[1] ?? 'Look up the code in docs/reference/errors.md.';
}
