/** What to do about the wire's and the bytes' own codes, which are thrown where nobody knows of runs. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/^(?:DIGEST|SIZE)_MISMATCH$/, 'Push the image again: its bytes are broken where they are kept, or on the way.'],
  [/^(?:MANIFEST|DESCRIPTOR)_INVALID$/, 'Push the image again with a client that follows the image specification 1.1.'],
  [/^(?:MANIFEST_)?BLOB_UNKNOWN$/, 'Push the image again: a part of it is not in this repository.'],
  [/^NAME_INVALID$/, 'Give the rule a destination whose repository has a name that this registry takes.'],
  [/^(?:TIMEOUT|STALLED|CONNECTION_CLOSED)$/, 'Look at the network between, and at the registry.'],
  [/^HTTP_5\d\d$/, 'Look at the registry, and at proxies before it: it is broken, or has too much to do.'],
  [/^HTTP_4\d\d$/, 'Look at the registry: it takes no such request, or not of this image.'],
  [/^TOO_LARGE$/, 'Push it in smaller parts, or pull it with acr-promoter pull: a job unpacks no more than that.'],
  [
    /^PATH_OUTSIDE$/,
    'Push it again under names that stay in one folder: a job puts its files below "output", and nowhere else.',
  ],
  [
    /^FILE_NAME_DUPLICATE$/,
    'Give each file a name of its own, and none the name of a folder that another is in; as it is, it can be copied and not pulled.',
  ],
  [
    /^REFERRER_LOST$/,
    'Try again; where it stays so, the registry does not keep its list of referrers: ask its operator.',
  ],
  [/^PATH_ABSOLUTE$/, 'Name the files from the folder that they are in.'],
];

/** An option of the command line, which a job hasn't got; `az` has its own. */
function namesOption(remedy: string): boolean {
  return /(?<![\w-])--[a-z]/.test(remedy) && !/\baz /.test(remedy);
}

/** For a run that ends with a code that came without a remedy, or with one for whoever sits at a command line. */
export function remedyFor(code: string, remedy?: string): string {
  if (remedy !== undefined && !namesOption(remedy)) return remedy;
  return (
    REMEDIES.find(([codes]) => codes.test(code))?.[1] ??
    'docs/reference/errors.md has the code, and what to do about it.'
  );
}
