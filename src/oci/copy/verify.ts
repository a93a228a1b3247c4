import { setTimeout as pause } from 'node:timers/promises';
import { isDigest, type Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import type { CallOptions, ReadableRepository, Repository } from '../repository.js';
import { manifestBytes } from './open-content.js';
import { Budget, REQUESTS_AT_ONCE } from './budget.js';
import {
  askedOf,
  expectedListings,
  isNothingMissing,
  missingOf,
  type Asked,
  type Listing,
  type Missing,
} from './missing.js';
import { copyGraph } from './copy-graph.js';
import type { CopyPlan, PlannedManifest } from './plan.js';
import { onSide } from './side.js';

/**
 * Pauses in milliseconds before the destination is asked again for what it does not show. There are as many repairs as
 * pauses. `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`
 */
export const ARRIVAL = { pausesMs: [0, 250, 1000, 2000, 4000] } as const;

/** Options of {@link verifyArrival}. */
export interface ArrivalOptions extends CallOptions {
  /** Source of the manifests that are not in the plan and of the blobs that must be copied again. */
  source: ReadableRepository;
  /** Maximum concurrent requests. Default: 32. Lost manifests are always pushed one by one. */
  requestConcurrency?: number;
  /** Milliseconds to wait after each repair; there are as many repairs as pauses. Default: {@link ARRIVAL}. */
  pausesMs?: readonly number[];
  /**
   * Waits after the nth repair (from 1). Default: waits and returns the same destination.
   * @returns the destination for the next check; another object if the destination caches its answers
   */
  after?: (repairs: number, waitMs: number) => Promise<Repository>;
  /** Called for each manifest that was checked, with the number checked and the total. */
  onAsked?: (done: number, total: number) => void;
}

/** The result of {@link verifyArrival}. */
export interface ArrivalReport {
  manifests: number;
  /** Number of referrers in the lists of their subjects. */
  listed: number;
  /** Listings that the destination had lost and that were pushed again. */
  restored: Listing[];
}

interface Arriving {
  plan: CopyPlan;
  planned: ReadonlyMap<Digest, PlannedManifest>;
  destination: Repository;
  options: ArrivalOptions;
  requests: Budget;
}

/** Pushes one manifest after the other, because some registries lose referrers when several are pushed at once. */
async function putAgain({ planned, destination, options, requests }: Arriving, lost: Listing[]): Promise<void> {
  const signal = options.signal ?? new AbortController().signal;
  for (const digest of new Set(lost.map((listing) => listing.referrer))) {
    const manifest = planned.get(digest);
    if (!manifest) continue;
    const bytes = await manifestBytes(manifest, options.source, requests, signal);
    await onSide('destination', 'push manifest', () =>
      destination.pushManifest(bytes, manifest.descriptor.mediaType, { signal, digest }),
    );
  }
}

function counted({ plan, destination, requests, options }: Arriving): Asked {
  const asked = askedOf(destination, requests);
  let done = 0;
  return {
    ...asked,
    async find(target, signal) {
      const found = await asked.find(target, signal);
      if (isDigest(target)) options.onAsked?.((done += 1), plan.manifests.length);
      return found;
    },
  };
}

/**
 * Checks again what was missing. Also checks the complete list of each subject involved, because pushing one referrer
 * may have removed another.
 */
function askAgain({ destination, options, requests, plan }: Arriving, missing: Missing): Promise<Missing> {
  const put = new Set([
    ...missing.manifests.map(({ digest }) => digest),
    ...missing.unlisted.map(({ referrer }) => referrer),
  ]);
  const tags = new Set(missing.tags);
  const again = plan.manifests.filter(
    ({ descriptor, tags: own = [] }) => put.has(descriptor.digest) || hasAny(own, tags),
  );
  const lists = new Set(again.flatMap(({ descriptor, subject }) => [descriptor.digest, ...(subject ? [subject] : [])]));
  const listed = plan.manifests.filter(({ subject }) => subject !== undefined && lists.has(subject));
  return missingOf(again, askedOf(destination, requests), options.signal, listed);
}

function hasAny(own: readonly string[], wanted: ReadonlySet<string>): boolean {
  return own.some((each) => wanted.has(each));
}

/** The part of the plan that is missing, with everything that it needs. */
function planOf({ plan, planned }: Arriving, { manifests, tags }: Missing): CopyPlan {
  const lostTags = new Set(tags);
  const tagged = plan.manifests.filter(({ tags: own = [] }) => hasAny(own, lostTags));
  const needed = new Set([...manifests, ...tagged.map(({ descriptor }) => descriptor)].map(({ digest }) => digest));
  // The loop also visits the digests that are added to the set while it runs.
  for (const digest of needed) {
    const { children = [], subject } = planned.get(digest) ?? {};
    for (const need of [...children, ...(subject ? [subject] : [])]) needed.add(need);
  }
  return { ...plan, manifests: plan.manifests.filter(({ descriptor }) => needed.has(descriptor.digest)) };
}

/** Copies missing manifests and tags again, with blobs if needed, and pushes unlisted referrers again. */
async function repair(arriving: Arriving, missing: Missing): Promise<void> {
  const { destination, options } = arriving;
  if (missing.manifests.length + missing.tags.length > 0) {
    const gone = planOf(arriving, missing);
    await copyGraph(gone, options.source, destination, { signal: options.signal });
  }
  await putAgain(arriving, missing.unlisted);
}

/** The error for content that is still missing after the last repair; the most important one if there are several. */
function lostOf(destination: string, { manifests, unlisted, tags }: Missing): CopyError | undefined {
  const lost = (code: string, what: string, names: string[], details: unknown[], ask: string): CopyError =>
    new CopyError(code, `${destination} accepted ${names.length} ${what}: ${names.slice(0, 5).join(', ')}`, {
      details: { destination, lost: details.slice(0, 100) },
      remedy: `Copy again. If the error stays, ${ask}.`,
    });
  const gone = manifests.map(({ digest }) => digest);
  const hidden = unlisted.map(({ referrer }) => referrer);
  const loses = (what: string): string => `the registry loses ${what}: ask its operator`;
  if (gone.length > 0) return lost('MANIFEST_LOST', 'manifests but does not have them', gone, gone, loses('content'));
  if (hidden.length > 0)
    return lost('REFERRER_LOST', 'referrers but does not list them', hidden, unlisted, loses('referrers'));
  if (tags.length === 0) return undefined;
  return lost('TAG_LOST', 'tags but does not keep them', tags, tags, 'find out which other client writes these tags');
}

/**
 * Checks after a copy that the destination has every manifest and digest tag of the plan and lists every referrer.
 * Missing content is pushed again, and checked again after a pause.
 * @throws CopyError `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST` if content is still missing after the last repair;
 *   `details` names it
 * @throws any error of the destination
 */
export async function verifyArrival(
  plan: CopyPlan,
  destination: Repository,
  options: ArrivalOptions,
): Promise<ArrivalReport> {
  const requests = new Budget(options.requestConcurrency ?? REQUESTS_AT_ONCE);
  const planned = new Map(plan.manifests.map((manifest) => [manifest.descriptor.digest, manifest]));
  let arriving: Arriving = { plan, planned, destination, options, requests };
  let missing = await missingOf(plan.manifests, counted(arriving), options.signal);
  const restored = missing.unlisted;
  const waited = async (_repairs: number, waitMs: number): Promise<Repository> => {
    await pause(waitMs, undefined, options.signal && { signal: options.signal });
    return destination;
  };
  for (const [index, waitMs] of (options.pausesMs ?? ARRIVAL.pausesMs).entries()) {
    if (isNothingMissing(missing)) break;
    await repair(arriving, missing);
    arriving = { ...arriving, destination: await (options.after ?? waited)(index + 1, waitMs) };
    missing = await askAgain(arriving, missing);
  }
  const lost = lostOf(destination.name, missing);
  if (lost) throw lost;
  const listed = [...expectedListings(plan.manifests).values()].reduce((total, digests) => total + digests.length, 0);
  return { manifests: plan.manifests.length, listed, restored };
}
