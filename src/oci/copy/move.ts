import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import type { CallOptions, ReadableRepository, Repository } from '../store.js';
import { allOrAbort } from './all.js';
import { manifestBytes } from './bodies.js';
import { Budget, REQUESTS_AT_ONCE } from './budget.js';
import { createBlobMover } from './move-blob.js';
import type { CopyPlan, PlannedManifest } from './plan.js';
import { Reporter, type CopyProgress, type CopyReport } from './report.js';
import { resolveIfThere } from './resolve-if-there.js';
import { onSide } from './side.js';

/** Bytes of blobs between the two sides at once. Setting: `bytesInFlight`. */
const BYTES_IN_FLIGHT = 32 * 1024 * 1024;

export interface CopyOptions extends CallOptions {
  /** Repositories of the destination's registry to mount blobs from, the likeliest first. */
  mountFrom?: string | readonly string[];
  /** Requests at once at the destination, from 1; 32 by default. */
  requestConcurrency?: number;
  /** Bytes of blobs on their way at once; 32 MiB by default. */
  bytesInFlight?: number;
  /**
   * Also asks for the blobs of manifests that the destination has. By default only where that costs nothing (a layout): a
   * registry that took a manifest has had them.
   */
  checkBlobs?: boolean;
  onProgress?: (progress: CopyProgress) => void;
}

interface Sides {
  source: ReadableRepository;
  destination: Repository;
  requests: Budget;
  signal: AbortSignal;
}

interface Move extends Sides {
  checkBlobs: boolean;
  moveBlob: (descriptor: Descriptor) => Promise<void>;
  reporter: Reporter;
}

async function push(sides: Sides, planned: PlannedManifest, tag?: string): Promise<void> {
  const { source, destination, requests, signal } = sides;
  const bytes = await manifestBytes(planned, source, requests, signal);
  const { digest, mediaType } = planned.descriptor;
  // Given back as soon as the manifest is there: dozens may then wait for the one index that lists them all.
  const release = await requests.take(1, signal);
  const { described = planned.descriptor } = planned;
  const options = { signal, digest, described, onPut: release, ...(tag !== undefined && { tag }) };
  const pushed = await onSide('destination', 'push manifest', () =>
    destination.pushManifest(bytes, mediaType, options).finally(release),
  );
  if (pushed.digest !== digest) {
    throw new CopyError('DIGEST_MISMATCH', `${destination.name} keeps ${digest} as ${pushed.digest}`, {
      details: { expected: digest, actual: pushed.digest },
      remedy: 'Copy to a registry that keeps manifests under digests of this algorithm.',
    });
  }
}

/** Moves one manifest as soon as all that it needs is there. */
async function moveManifest(move: Move, planned: PlannedManifest, needed: Promise<unknown>[]): Promise<void> {
  const { destination, requests, signal, reporter } = move;
  const { descriptor, blobs } = planned;
  const there = await onSide('destination', 'resolve manifest', () =>
    resolveIfThere(destination, descriptor.digest, requests, signal),
  );
  // A file that a crash cut short has the name of what it should be.
  const isWhole = there?.size === descriptor.size;
  if (!isWhole || move.checkBlobs) await Promise.all(blobs.map(move.moveBlob));
  else reporter.passOver(blobs);
  if (!isWhole) {
    await Promise.all(needed);
    reporter.tell('started', descriptor);
    await push(move, planned);
  }
  reporter.manifest(isWhole ? 'existed' : 'copied', descriptor);
}

/** @returns the tag where it had to be set. */
async function setDigestTag(sides: Sides, planned: PlannedManifest, tag: string): Promise<string[]> {
  const { destination, requests, signal } = sides;
  const there = await onSide('destination', 'resolve tag', () => resolveIfThere(destination, tag, requests, signal));
  if (there?.digest === planned.descriptor.digest) return [];
  await push(sides, planned, tag);
  return [tag];
}

/**
 * Makes the destination have what the plan names: blobs mounted or streamed, then manifests from the leaves up, subjects before
 * their referrers, then digest tags. What is there is not moved again, so the same call resumes a copy that broke off. The root
 * is not tagged, and nothing is said about what the destination lists afterwards: that is {@link verifyArrival}'s work.
 * @throws CopyError with the code of what failed and the side on which it did.
 */
export async function copyGraph(
  plan: CopyPlan,
  source: ReadableRepository,
  destination: Repository,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const requests = new Budget(options.requestConcurrency ?? REQUESTS_AT_ONCE);
  const bytes = new Budget(options.bytesInFlight ?? BYTES_IN_FLIGHT);
  const mountFrom = typeof options.mountFrom === 'string' ? [options.mountFrom] : (options.mountFrom ?? []);
  const reporter = new Reporter(plan, options.onProgress);
  await allOrAbort(options.signal, (signal) => {
    const moveBlob = createBlobMover({ source, destination, mountFrom, requests, bytes, signal, reporter });
    const { checkBlobs = destination.isLocal ?? false } = options;
    const move: Move = { source, destination, requests, signal, checkBlobs, moveBlob, reporter };
    const moved = new Map<Digest, Promise<void>>();
    for (const planned of plan.manifests) {
      const needs = [...(planned.children ?? []), ...(planned.subject === undefined ? [] : [planned.subject])];
      // Leaves stand first in the plan: what has not begun by now is not in it.
      const needed = needs.flatMap((digest) => moved.get(digest) ?? []);
      moved.set(planned.descriptor.digest, moveManifest(move, planned, needed));
    }
    return [...moved.values()];
  });
  const tagged = await allOrAbort(options.signal, (signal) =>
    plan.manifests.flatMap((planned) =>
      (planned.tags ?? []).map((tag) => setDigestTag({ source, destination, requests, signal }, planned, tag)),
    ),
  );
  return { ...reporter.report, tagged: tagged.flat() };
}
