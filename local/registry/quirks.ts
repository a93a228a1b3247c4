import { Refusal } from './refusal.js';

/** Behaviours of real registries that clients must handle. All are off by default. */
export interface Quirks {
  /** `Location` headers have scheme and host; otherwise they are relative, like ACR's. */
  absoluteLocations?: boolean;
  /** A PUT with a larger body is answered 413, as ACR's front end does at about 20 MB. */
  maxMonolithicBytes?: number;
  /** A PATCH of unknown length is answered 400 `CONTENT_LENGTH_INVALID`. */
  refuseChunkedTransfer?: boolean;
  /** Every nth PATCH is answered 404 `BLOB_UPLOAD_UNKNOWN`, so the upload must start again. */
  loseEveryNthUpload?: number;
  /** Every nth request is answered 429. */
  throttleEveryNth?: number;
  /** `Retry-After` of a 429 in seconds. Default: 1. */
  retryAfterSeconds?: number;
  /** A blob's GET is answered 307 to another host (a second port), which refuses any request with `Authorization`. */
  redirectBlobs?: boolean;
  /** There is no referrers API: 404 and no `OCI-Subject`, as in an ACR with customer-managed keys. */
  noReferrersApi?: boolean;
  /** `OCI-Subject` is sent although there is no referrers API, as ECR did. */
  subjectHeaderWithoutApi?: boolean;
  /** Entries of referrers lists have no `artifactType`, which happens with ACR. */
  referrersWithoutArtifactType?: boolean;
  /** The largest page of tags, catalog and referrers. */
  pageEntries?: number;
  /** There is no `/acr/v1/<name>/_tags` and `_manifests`, as in registries other than ACR. */
  noAcrLists?: boolean;
  /** An Entra token for Azure Resource Manager is refused; only tokens for ACR are accepted. */
  refuseArmAudience?: boolean;
  /**
   * Reads of manifests, tags and lists see pushes and deletions this much later, like another region of a
   * geo-replicated ACR.
   */
  lateReadsMs?: number;
  /** No event is sent. */
  loseEvents?: boolean;
  /** Each reader gets a blob at most at this rate, so that a test can act in the middle of a blob on any machine. */
  blobBytesPerSecond?: number;
}

const KINDS: Record<keyof Quirks, 'flag' | 'number'> = {
  absoluteLocations: 'flag',
  maxMonolithicBytes: 'number',
  refuseChunkedTransfer: 'flag',
  loseEveryNthUpload: 'number',
  throttleEveryNth: 'number',
  retryAfterSeconds: 'number',
  redirectBlobs: 'flag',
  noReferrersApi: 'flag',
  subjectHeaderWithoutApi: 'flag',
  referrersWithoutArtifactType: 'flag',
  pageEntries: 'number',
  noAcrLists: 'flag',
  refuseArmAudience: 'flag',
  lateReadsMs: 'number',
  loseEvents: 'flag',
  blobBytesPerSecond: 'number',
};

/** Parses `name` or `name=number` texts. @throws Refusal `QUIRK_INVALID` */
export function parseQuirks(texts: string[]): Quirks {
  const entries = texts.map((text): [string, boolean | number] => {
    const [name = '', value] = text.split('=', 2);
    const kind = Object.entries(KINDS).find(([known]) => known === name)?.[1];
    const number = Number(value);
    if (kind === 'flag' && value === undefined) return [name, true];
    if (kind === 'number' && value !== undefined && Number.isInteger(number) && number >= 0) return [name, number];
    const known = Object.entries(KINDS).map(([each, its]) => (its === 'flag' ? each : `${each}=N`));
    throw new Refusal(0, 'QUIRK_INVALID', `${text} is not a quirk; known quirks: ${known.join(', ')}`);
  });
  return Object.fromEntries(entries);
}
