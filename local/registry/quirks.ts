import { Refusal } from './refusal.js';

/** Habits and weaknesses of registries that clients must cope with, each can be turned on; all are off by default. */
export interface Quirks {
  /** `Location` headers with scheme and host; relative ones, as ACR's are, otherwise. */
  absoluteLocations?: boolean;
  /** A PUT with a larger body is answered 413, as ACR's front does at about 20 MB. */
  maxMonolithicBytes?: number;
  /** A PATCH of unknown length is answered 400 `CONTENT_LENGTH_INVALID`. */
  refuseChunkedTransfer?: boolean;
  /** Every nth PATCH finds its upload gone: 404 `BLOB_UPLOAD_UNKNOWN`; it must start over. */
  loseEveryNthUpload?: number;
  /** Every nth request is answered 429. */
  throttleEveryNth?: number;
  /** More requests than this in one second are answered 429. */
  throttlePerSecond?: number;
  /** `Retry-After` of a 429, in seconds: 1 by default. */
  retryAfterSeconds?: number;
  /** A blob's GET is answered 307 to another host (a second port), which refuses any request with `Authorization`. */
  redirectBlobs?: boolean;
  /** No referrers API: 404, and no `OCI-Subject`, as in an ACR with customer-managed keys. */
  noReferrersApi?: boolean;
  /** `OCI-Subject` is sent although there is no referrers API, as ECR did. */
  subjectHeaderWithoutApi?: boolean;
  /** Entries of referrers lists have no `artifactType`, as ACR's sometimes don't. */
  referrersWithoutArtifactType?: boolean;
  /** Largest page of tags, catalog and referrers. */
  pageEntries?: number;
  /** `If-Match` on a manifest's PUT is honoured: 412 where the tag has moved. */
  honourIfMatch?: boolean;
  /** A token request with `*` for a repository's name is refused, as ABAC registries do. */
  refuseWildcardScopes?: boolean;
  /** No `/acr/v1/<name>/_tags` and `_manifests`: as other registries than ACR. */
  noAcrLists?: boolean;
  /** An Entra token for Azure Resource Manager is refused: only those for ACR itself are taken. */
  refuseArmAudience?: boolean;
  /** Reads of manifests, tags and lists learn of pushes and deletions so much later: another region of a geo-replicated ACR. */
  lateReadsMs?: number;
  /** No event is sent. */
  loseEvents?: boolean;
  /** Each request waits this long before it is looked at: what a round trip costs. */
  latencyMs?: number;
  /** A blob is given no faster than this, to each who asks: what is in the middle of one is so on any machine. */
  blobBytesPerSecond?: number;
}

const KINDS: Record<keyof Quirks, 'flag' | 'number'> = {
  absoluteLocations: 'flag',
  maxMonolithicBytes: 'number',
  refuseChunkedTransfer: 'flag',
  loseEveryNthUpload: 'number',
  throttleEveryNth: 'number',
  throttlePerSecond: 'number',
  retryAfterSeconds: 'number',
  redirectBlobs: 'flag',
  noReferrersApi: 'flag',
  subjectHeaderWithoutApi: 'flag',
  referrersWithoutArtifactType: 'flag',
  pageEntries: 'number',
  honourIfMatch: 'flag',
  refuseWildcardScopes: 'flag',
  noAcrLists: 'flag',
  refuseArmAudience: 'flag',
  lateReadsMs: 'number',
  loseEvents: 'flag',
  latencyMs: 'number',
  blobBytesPerSecond: 'number',
};

/** Reads `name` or `name=number`, each. @throws Refusal `QUIRK_INVALID` */
export function parseQuirks(texts: string[]): Quirks {
  const entries = texts.map((text): [string, boolean | number] => {
    const [name = '', value] = text.split('=', 2);
    const kind = Object.entries(KINDS).find(([known]) => known === name)?.[1];
    const number = Number(value);
    if (kind === 'flag' && value === undefined) return [name, true];
    if (kind === 'number' && value !== undefined && Number.isInteger(number) && number >= 0) return [name, number];
    const known = Object.entries(KINDS).map(([each, its]) => (its === 'flag' ? each : `${each}=N`));
    throw new Refusal(0, 'QUIRK_INVALID', `${text} is no quirk; there are ${known.join(', ')}`);
  });
  return Object.fromEntries(entries);
}
