import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import type { CallOptions, ReadableRepository, Repository } from '../repository.js';
import { allOrAbort } from '../concurrency.js';
import { manifestBytes } from './open-content.js';
import { Budget, REQUESTS_AT_ONCE } from './budget.js';
import { createBlobMover } from './move-blob.js';
import type { CopyPlan, PlannedManifest } from './plan.js';
import { Reporter, type Arrival, type CopyProgress, type CopyReport } from './report.js';
import { onSide, resolveIfThere } from './side.js';

/** Default maximum bytes of blobs in transit. Option: `bytesInFlight`. */
const BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/** Options of {@link copyGraph}. */
export interface CopyOptions extends CallOptions {
  /** Repositories of the destination registry to mount blobs from, most likely first. Default: none. */
  mountFrom?: string | readonly string[];
  /** Maximum concurrent requests to the destination, at least 1. Default: 32. */
  requestConcurrency?: number;
  /** Maximum bytes of blobs in transit. Default: 32 MiB. */
  bytesInFlight?: number;
  /**
   * Also checks the blobs of manifests that the destination already has. Default: only if that costs no request (a
   * layout), because a registry that accepted a manifest had its blobs.
   */
  checkBlobs?: boolean;
  /** How a blob arrived that was moved before this call, for the report. Default: undefined for each. */
  arrivedBefore?: (digest: Digest) => Arrival | undefined;
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
  // Released as soon as the manifest is stored: dozens of pushes may then wait for the one index that lists them all.
  const release = await requests.take(1, signal);
  const { described = planned.descriptor } = planned;
  const options = { signal, digest, described, onPut: release, ...(tag !== undefined && { tag }) };
  const pushed = await onSide('destination', 'push manifest', () =>
    destination.pushManifest(bytes, mediaType, options).finally(release),
  );
  if (pushed.digest !== digest) {
    throw new CopyError('DIGEST_MISMATCH', `${destination.name} stored ${digest} as ${pushed.digest}`, {
      details: { expected: digest, actual: pushed.digest },
      remedy: 'Copy to a registry that supports this digest algorithm.',
    });
  }
}

/** Copies one manifest as soon as everything that it needs is at the destination. */
async function moveManifest(move: Move, planned: PlannedManifest, needed: Promise<unknown>[]): Promise<void> {
  const { destination, requests, signal, reporter } = move;
  const { descriptor, blobs } = planned;
  const there = await onSide('destination', 'resolve manifest', () =>
    requests.run(() => resolveIfThere(destination, descriptor.digest, { signal }), signal),
  );
  // In a layout, a crash may leave a truncated file under the right name.
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

/** @returns the tag if it had to be written, otherwise an empty list */
async function setDigestTag(sides: Sides, planned: PlannedManifest, tag: string): Promise<string[]> {
  const { destination, requests, signal } = sides;
  const there = await onSide('destination', 'resolve tag', () =>
    requests.run(() => resolveIfThere(destination, tag, { signal }), signal),
  );
  if (there?.digest === planned.descriptor.digest) return [];
  await push(sides, planned, tag);
  return [tag];
}

/**
 * Copies everything in a plan that the destination lacks: blobs are mounted or streamed, then manifests are pushed from
 * the leaves up, subjects before their referrers, then digest tags. The same call resumes an interrupted copy. It does
 * not tag the root, and does not check what the destination lists afterwards: {@link verifyArrival} does.
 * @throws CopyError with the code of the failure and its side
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
    const { checkBlobs = destination.isLocal ?? false, arrivedBefore = () => undefined } = options;
    const blobs = { source, destination, mountFrom, requests, bytes, signal, reporter, arrivedBefore };
    const moveBlob = createBlobMover(blobs);
    const move: Move = { source, destination, requests, signal, checkBlobs, moveBlob, reporter };
    const moved = new Map<Digest, Promise<void>>();
    for (const planned of plan.manifests) {
      const needs = [...(planned.children ?? []), ...(planned.subject === undefined ? [] : [planned.subject])];
      // Leaves come first in the plan, so a manifest that has not started yet is not in the plan.
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
