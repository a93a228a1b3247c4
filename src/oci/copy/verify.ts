import { setTimeout as pause } from 'node:timers/promises';
import { isDigest, type Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import type { CallOptions, ReadableRepository, Repository } from '../store.js';
import { manifestBytes } from './bodies.js';
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
import { copyGraph } from './move.js';
import type { CopyPlan, PlannedManifest } from './plan.js';
import { onSide } from './side.js';

/** Pauses in milliseconds before the destination is asked again for what it does not show; as many repairs are tried. `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST` */
export const ARRIVAL = { pausesMs: [0, 250, 1000, 2000, 4000] } as const;

export interface ArrivalProgress {
  state: 'asked' | 'restored';
  /** Listings that the destination does not show yet. */
  lost: number;
}

export interface ArrivalOptions extends CallOptions {
  /** Where manifests come from that the plan does not carry, and blobs that have to be moved again. */
  source: ReadableRepository;
  /** Requests at once; 32 by default. What is lost is put again one by one whatever this says. */
  requestConcurrency?: number;
  /** Milliseconds to wait before each repair's result is asked for; as many repairs are tried. */
  pausesMs?: readonly number[];
  onProgress?: (progress: ArrivalProgress) => void;
  /**
   * Waits after the nth repair, from 1; @returns the destination as it is asked then, where that is one that recalls its answers. By
   * default it waits, and asks the same.
   */
  after?: (repairs: number, waitMs: number) => Promise<Repository>;
  /** Told of each manifest that was asked for: how many, of how many. */
  onAsked?: (done: number, total: number) => void;
}

export interface ArrivalReport {
  manifests: number;
  /** Referrers that their subjects list. */
  listed: number;
  /** What the destination had lost, and was put again. */
  restored: Listing[];
}

interface Arriving {
  plan: CopyPlan;
  planned: ReadonlyMap<Digest, PlannedManifest>;
  destination: Repository;
  options: ArrivalOptions;
  requests: Budget;
}

/** One after the other: it is pushing at the same time that some registries lose referrers by. */
async function putAgain({ planned, destination, options, requests }: Arriving, lost: Listing[]): Promise<void> {
  const signal = options.signal ?? new AbortController().signal;
  for (const digest of new Set(lost.map((listing) => listing.referrer))) {
    const manifest = planned.get(digest);
    if (!manifest) continue;
    const bytes = await manifestBytes(manifest, options.source, requests, signal);
    await onSide('destination', 'push manifest', () =>
      destination.pushManifest(bytes, manifest.descriptor.mediaType, { signal, digest }),
    );
    options.onProgress?.({ state: 'restored', lost: lost.length });
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
 * Asks for what was missing; and for the whole lists of referrers of which some were, or whose subject was: putting one may have
 * cost another.
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
  return missingOf(again, askedOf(destination, requests), requests, options.signal, listed);
}

function hasAny(own: readonly string[], wanted: ReadonlySet<string>): boolean {
  return own.some((each) => wanted.has(each));
}

/** What is gone altogether, with all that it needs. */
function planOf({ plan, planned }: Arriving, { manifests, tags }: Missing): CopyPlan {
  const lostTags = new Set(tags);
  const tagged = plan.manifests.filter(({ tags: own = [] }) => hasAny(own, lostTags));
  const needed = new Set([...manifests, ...tagged.map(({ descriptor }) => descriptor)].map(({ digest }) => digest));
  // A set is gone through with all that is added on the way.
  for (const digest of needed) {
    const { children = [], subject } = planned.get(digest) ?? {};
    for (const need of [...children, ...(subject ? [subject] : [])]) needed.add(need);
  }
  return { ...plan, manifests: plan.manifests.filter(({ descriptor }) => needed.has(descriptor.digest)) };
}

/** One round: what is gone altogether is copied anew, blobs perhaps as well; what is only not listed is put again. */
async function repair(arriving: Arriving, missing: Missing): Promise<void> {
  const { destination, options } = arriving;
  if (missing.manifests.length + missing.tags.length > 0) {
    const gone = planOf(arriving, missing);
    await copyGraph(gone, options.source, destination, { ...(options.signal && { signal: options.signal }) });
  }
  await putAgain(arriving, missing.unlisted);
}

function lostOf(destination: string, { manifests, unlisted, tags }: Missing): CopyError | undefined {
  const short = (names: string[]): string => names.slice(0, 5).join(', ');
  if (manifests.length > 0) {
    const names = manifests.map(({ digest }) => digest);
    return new CopyError(
      'MANIFEST_LOST',
      `${destination} has taken ${names.length} manifests and does not have them: ${short(names)}`,
      {
        details: { destination, lost: names.slice(0, 100) },
        remedy: 'Copy again; where it stays so, the registry does not keep what it accepts: ask its operator.',
      },
    );
  }
  if (unlisted.length > 0) {
    const names = unlisted.map(({ referrer }) => referrer);
    return new CopyError(
      'REFERRER_LOST',
      `${destination} has taken ${names.length} referrers and does not list them: ${short(names)}`,
      {
        details: { destination, lost: unlisted.slice(0, 100) },
        remedy: 'Copy again; where it stays so, the registry does not keep its list of referrers: ask its operator.',
      },
    );
  }
  if (tags.length > 0) {
    return new CopyError(
      'TAG_LOST',
      `${destination} has taken ${tags.length} tags and does not keep them: ${short(tags)}`,
      {
        details: { destination, lost: tags.slice(0, 100) },
        remedy: 'Copy again; where it stays so, find out who else writes these tags.',
      },
    );
  }
  return undefined;
}

/**
 * Asks the destination, after a copy, whether it has every manifest and digest tag, and lists every referrer of the plan. What
 * it lost is put again, and asked for again after a pause.
 * @throws CopyError `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST` where the destination goes on not having some (named in
 * `details`); what it throws.
 */
export async function verifyArrival(
  plan: CopyPlan,
  destination: Repository,
  options: ArrivalOptions,
): Promise<ArrivalReport> {
  const requests = new Budget(options.requestConcurrency ?? REQUESTS_AT_ONCE);
  const planned = new Map(plan.manifests.map((manifest) => [manifest.descriptor.digest, manifest]));
  let arriving: Arriving = { plan, planned, destination, options, requests };
  let missing = await missingOf(plan.manifests, counted(arriving), requests, options.signal);
  const restored = missing.unlisted;
  const tell = (): void => options.onProgress?.({ state: 'asked', lost: missing.unlisted.length });
  tell();
  const waited = async (_repairs: number, waitMs: number): Promise<Repository> => {
    await pause(waitMs, undefined, options.signal && { signal: options.signal });
    return destination;
  };
  for (const [index, waitMs] of (options.pausesMs ?? ARRIVAL.pausesMs).entries()) {
    if (isNothingMissing(missing)) break;
    await repair(arriving, missing);
    arriving = { ...arriving, destination: await (options.after ?? waited)(index + 1, waitMs) };
    missing = await askAgain(arriving, missing);
    tell();
  }
  const lost = lostOf(destination.name, missing);
  if (lost) throw lost;
  const listed = [...expectedListings(plan.manifests).values()].reduce((total, digests) => total + digests.length, 0);
  return { manifests: plan.manifests.length, listed, restored };
}
