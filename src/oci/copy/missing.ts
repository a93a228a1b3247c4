import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { getOrMake } from '../memo.js';
import type { ReadableRepository } from '../repository.js';
import { allOrAbort } from '../concurrency.js';
import type { Budget } from './budget.js';
import type { CopyPlan } from './plan.js';
import { onSide, resolveIfThere } from './side.js';

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
export interface Asked {
  /** Resolves a tag or digest. Undefined if it does not exist. */
  find(target: string, signal: AbortSignal): Promise<Descriptor | undefined>;
  /**
   * The digests that the destination lists under a subject.
   * @param tagSchema `later` reads only the referrers API, which is enough if it lists all expected referrers
   */
  listed(subject: Digest, tagSchema: true | 'later', signal: AbortSignal): Promise<Set<Digest>>;
}

/** True if the destination lacks nothing. */
export function isNothingMissing({ manifests, unlisted, tags }: Missing): boolean {
  return manifests.length + unlisted.length + tags.length === 0;
}

/** The referrers that a destination should list, by subject. */
export function expectedListings(manifests: readonly Expected[]): Map<Digest, Digest[]> {
  const bySubject = new Map<Digest, Digest[]>();
  for (const { subject, descriptor } of manifests) {
    if (subject !== undefined) getOrMake(bySubject, subject, () => []).push(descriptor.digest);
  }
  return bySubject;
}

async function unlistedOf(
  asked: Asked,
  subject: Digest,
  expected: readonly Digest[],
  signal: AbortSignal,
): Promise<Listing[]> {
  let left = expected;
  for (const tagSchema of ['later', true] as const) {
    if (left.length === 0) break;
    const digests = await asked.listed(subject, tagSchema, signal);
    left = left.filter((digest) => !digests.has(digest));
  }
  return left.map((referrer) => ({ subject, referrer }));
}

/** Requests to a destination, limited by `requests`. */
export function askedOf(destination: ReadableRepository, requests: Budget): Asked {
  return {
    find: (target, signal) =>
      onSide('destination', 'resolve', () =>
        requests.run(() => resolveIfThere(destination, target, { signal }), signal),
      ),
    listed: async (subject, tagSchema, signal) => {
      const options = { signal, artifactTypes: false, tagSchema };
      const listed = await onSide('destination', 'list referrers', () =>
        requests.run(() => destination.listReferrers(subject, options), signal),
      );
      return new Set(listed.map(({ digest }) => digest));
    },
  };
}

/**
 * Checks which manifests, listings and tags the destination lacks.
 * @param listed the manifests whose listings are checked, if they differ from `manifests`
 */
export async function missingOf(
  manifests: readonly Expected[],
  asked: Asked,
  outer: AbortSignal | undefined,
  listed: readonly Expected[] = manifests,
): Promise<Missing> {
  const missing: Missing = { manifests: [], unlisted: [], tags: [] };
  await allOrAbort(outer, (signal) => [
    ...manifests.map(async ({ descriptor }) => {
      if (!(await asked.find(descriptor.digest, signal))) missing.manifests.push(descriptor);
    }),
    ...[...expectedListings(listed)].map(async ([subject, expected]) => {
      missing.unlisted.push(...(await unlistedOf(asked, subject, expected, signal)));
    }),
    ...manifests.flatMap(({ descriptor, tags = [] }) =>
      tags.map(async (tag) => {
        if ((await asked.find(tag, signal))?.digest !== descriptor.digest) missing.tags.push(tag);
      }),
    ),
  ]);
  return missing;
}
