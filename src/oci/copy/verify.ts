import { setTimeout as pause } from 'node:timers/promises';
import type { Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import type { CallOptions, ReadableRepository, Repository } from '../store.js';
import { allOrAbort } from './all.js';
import { manifestBytes } from './bodies.js';
import { Budget } from './budget.js';
import { COPY_LIMITS } from './limits.js';
import { askedOf, expectedListings, missingOf, unlistedOf, type Listing } from './missing.js';
import { copyGraph } from './move.js';
import type { CopyPlan, PlannedManifest } from './plan.js';
import { onSide } from './side.js';

export interface ArrivalProgress {
  state: 'asked' | 'restored';
  /** Listings that the destination does not show yet. */
  lost: number;
}

export interface ArrivalOptions extends CallOptions {
  /** Where manifests come from that the plan does not carry, and blobs that have to be moved again. */
  source: ReadableRepository;
  /** Requests at once; 32 as it comes. What is lost is put again one by one whatever this says. */
  requestConcurrency?: number;
  /** Milliseconds to wait before each repair's result is asked for; as many repairs are tried. */
  pausesMs?: readonly number[];
  onProgress?: (progress: ArrivalProgress) => void;
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

async function askAgain({ destination, options, requests, plan }: Arriving, lost: Listing[]): Promise<Listing[]> {
  const expected = expectedListings(plan.manifests);
  const subjects = [...new Set(lost.map((listing) => listing.subject))];
  const asked = await allOrAbort(options.signal, (signal) =>
    subjects.map((subject) => unlistedOf(destination, subject, expected.get(subject) ?? [], requests, signal)),
  );
  return asked.flat();
}

/**
 * Asks the destination, after a copy, whether it has every manifest and lists every referrer of the plan. What it lost is put
 * again, singly, and asked for again after a pause.
 * @throws CopyError `REFERRER_LOST` where the destination goes on not listing some (named in `details`); what it throws.
 */
export async function verifyArrival(
  plan: CopyPlan,
  destination: Repository,
  options: ArrivalOptions,
): Promise<ArrivalReport> {
  const requests = new Budget(options.requestConcurrency ?? COPY_LIMITS.requests);
  const planned = new Map(plan.manifests.map((manifest) => [manifest.descriptor.digest, manifest]));
  const arriving: Arriving = { plan, planned, destination, options, requests };
  const missing = await missingOf(plan.manifests, askedOf(destination, requests), requests, options.signal);
  if (missing.manifests.length + missing.tags.length > 0) {
    // Gone again since it was copied, blobs perhaps as well: the copy is done once more, of what is lacking.
    await copyGraph(plan, options.source, destination, { ...(options.signal && { signal: options.signal }) });
  }
  let lost = missing.unlisted;
  const restored = lost;
  options.onProgress?.({ state: 'asked', lost: lost.length });
  for (const waitMs of options.pausesMs ?? COPY_LIMITS.arrivalPausesMs) {
    if (lost.length === 0) break;
    await putAgain(arriving, lost);
    await pause(waitMs, undefined, options.signal && { signal: options.signal });
    lost = await askAgain(arriving, lost);
    options.onProgress?.({ state: 'asked', lost: lost.length });
  }
  if (lost.length > 0) {
    const names = lost.map(({ referrer }) => referrer);
    throw new CopyError(
      'REFERRER_LOST',
      `${destination.name} has taken ${names.length} referrers and does not list them: ${names.slice(0, 5).join(', ')}`,
      {
        details: { destination: destination.name, lost: lost.slice(0, 100) },
        remedy: 'Copy again; where it stays so, the registry does not keep its list of referrers: ask its operator.',
      },
    );
  }
  const listed = [...expectedListings(plan.manifests).values()].reduce((total, digests) => total + digests.length, 0);
  return { manifests: plan.manifests.length, listed, restored };
}
