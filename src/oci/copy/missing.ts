import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import type { CallOptions, ReadableRepository } from '../store.js';
import { allOrAbort } from './all.js';
import { Budget, REQUESTS_AT_ONCE } from './budget.js';
import type { CopyPlan } from './plan.js';
import { resolveIfThere } from './resolve-if-there.js';
import { onSide } from './side.js';

/** A referrer and the subject in whose list it should be. */
export interface Listing {
  subject: Digest;
  referrer: Digest;
}

/** The parts of a graph that a destination lacks. */
export interface Missing {
  manifests: Descriptor[];
  /** Referrers that the destination does not list under their subject, even if it has their manifests. */
  unlisted: Listing[];
  /** Digest tags that are missing or point to another manifest. */
  tags: string[];
}

/** The fields of a planned manifest that are checked at the destination. */
export type Expected = Pick<CopyPlan['manifests'][number], 'descriptor' | 'subject' | 'tags'>;

/** Requests to a destination. */
export interface Asked extends Pick<ReadableRepository, 'listReferrers'> {
  find(target: string, signal: AbortSignal): Promise<Descriptor | undefined>;
}

export function isNothingMissing({ manifests, unlisted, tags }: Missing): boolean {
  return manifests.length + unlisted.length + tags.length === 0;
}

/** The referrers that a destination should list, by subject. */
export function expectedListings(manifests: readonly Expected[]): Map<Digest, Digest[]> {
  const bySubject = new Map<Digest, Digest[]>();
  for (const { subject, descriptor } of manifests) {
    if (subject === undefined) continue;
    const listed = bySubject.get(subject);
    if (listed) listed.push(descriptor.digest);
    else bySubject.set(subject, [descriptor.digest]);
  }
  return bySubject;
}

/**
 * The digests that the destination lists under a subject.
 * @param tagSchema `later` reads only the referrers API, which is enough if it lists all expected referrers
 */
export async function listedBy(
  destination: Pick<ReadableRepository, 'listReferrers'>,
  subject: Digest,
  requests: Budget,
  signal: AbortSignal,
  tagSchema: true | 'later' = true,
): Promise<Set<Digest>> {
  const options = { signal, artifactTypes: false, tagSchema };
  const listed = await onSide('destination', 'list referrers', () =>
    requests.run(() => destination.listReferrers(subject, options), signal),
  );
  return new Set(listed.map(({ digest }) => digest));
}

async function unlistedOf(
  destination: Pick<ReadableRepository, 'listReferrers'>,
  subject: Digest,
  expected: readonly Digest[],
  requests: Budget,
  signal: AbortSignal,
): Promise<Listing[]> {
  let left = expected;
  for (const tagSchema of ['later', true] as const) {
    if (left.length === 0) break;
    const digests = await listedBy(destination, subject, requests, signal, tagSchema);
    left = left.filter((digest) => !digests.has(digest));
  }
  return left.map((referrer) => ({ subject, referrer }));
}

export function askedOf(destination: ReadableRepository, requests: Budget): Asked {
  return {
    find: (target, signal) =>
      onSide('destination', 'resolve', () => resolveIfThere(destination, target, requests, signal)),
    listReferrers: (digest, options) => destination.listReferrers(digest, options),
  };
}

/**
 * Checks which manifests, listings and tags the destination lacks.
 * @param listed the manifests whose listings are checked, if they differ from `manifests`
 */
export async function missingOf(
  manifests: readonly Expected[],
  asked: Asked,
  requests: Budget,
  outer: AbortSignal | undefined,
  listed: readonly Expected[] = manifests,
): Promise<Missing> {
  const missing: Missing = { manifests: [], unlisted: [], tags: [] };
  await allOrAbort(outer, (signal) => [
    ...manifests.map(async ({ descriptor }) => {
      if (!(await asked.find(descriptor.digest, signal))) missing.manifests.push(descriptor);
    }),
    ...[...expectedListings(listed)].map(async ([subject, expected]) => {
      missing.unlisted.push(...(await unlistedOf(asked, subject, expected, requests, signal)));
    }),
    ...manifests.flatMap(({ descriptor, tags = [] }) =>
      tags.map(async (tag) => {
        if ((await asked.find(tag, signal))?.digest !== descriptor.digest) missing.tags.push(tag);
      }),
    ),
  ]);
  return missing;
}

/**
 * Checks a destination for everything in a plan except blobs, with one small request for each manifest and each
 * subject.
 */
export function missingAt(
  plan: CopyPlan,
  destination: ReadableRepository,
  options: CallOptions & { concurrency?: number } = {},
): Promise<Missing> {
  const requests = new Budget(options.concurrency ?? REQUESTS_AT_ONCE);
  return missingOf(plan.manifests, askedOf(destination, requests), requests, options.signal);
}
