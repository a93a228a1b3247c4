import {
  copyGraph,
  compareGraphs,
  InputError,
  isNothingMissing,
  onSide,
  planGraph,
  rememberReads,
  rootBytes,
  verifyArrival,
  type ArrivalReport,
  type CallOptions,
  type Comparison,
  type CopyPlan,
  type CopyProgress,
  type CopyReport,
  type Descriptor,
  type Digest,
  type LeftOut,
  type ReadableRepository,
  type Repository,
} from '../oci/index.js';
import { checkTag, resolveIfThere } from './read-tag.js';
import { selectPlatform, type WantedPlatform } from './platform.js';

/** Pauses in milliseconds before a tag that does not read back as it was set is looked at again. `TAG_LOST` */
const TAG_PAUSES_MS = [0, 250, 1000];

export interface CopyArtifactOptions extends CallOptions {
  /** Referrers too, with theirs and those of index children. Default: false. */
  recursive?: boolean;
  /** Copies that child of an index, and its referrers. */
  platform?: WantedPlatform;
  /** Set at the destination when all has arrived and was verified; none: the digest alone. */
  tags?: readonly string[];
  /** What the source must have: the copy is refused where it is something else. */
  digest?: Digest;
  /** Repositories of the destination's registry to mount blobs from. */
  mountFrom?: readonly string[];
  /** Artifact types of referrers to leave out; by default Azure's artifact streaming. */
  excludeArtifactTypes?: readonly string[];
  /**
   * Asks the destination for every blob, though it has the manifests: finds those that it lost. By default only where that
   * costs nothing (a layout).
   */
  checkBlobs?: boolean;
  /** Requests at once on each side; 32 by default. */
  concurrency?: number;
  /** Milliseconds to wait before the destination is asked again for what it does not show; some seconds in all by default. */
  pausesMs?: readonly number[];
  /** Told before anything moves; not where nothing has to. */
  onPlanned?: (plan: CopyPlan) => void;
  /** If nothing has to move, called for manifests that nothing else refers to. */
  onProgress?: (progress: CopyProgress) => void;
}

/** What a copy did: the receipt. */
export interface CopyReceipt {
  source: string;
  destination: string;
  root: Descriptor;
  /** Tags that were set, or stood already. */
  tags: string[];
  report: CopyReport;
  /** Referrers that the source lists and that were not copied. */
  leftOut: LeftOut[];
  arrival: ArrivalReport;
}

async function resolveTags(destination: Repository, options: CopyArtifactOptions): Promise<Map<string, Digest>> {
  const { tags = [], signal } = options;
  const standing = new Map<string, Digest>();
  await Promise.all(
    tags.map(async (tag) => {
      const found = await resolveIfThere(destination, tag, signal ? { signal } : {});
      if (found !== undefined) standing.set(tag, found.digest);
    }),
  );
  return standing;
}

/** Where every tag stands right already, it may be that nothing is to be done: asking is cheaper than planning. */
async function isInSync(
  source: ReadableRepository,
  destination: Repository,
  root: Descriptor,
  options: CopyArtifactOptions,
): Promise<Comparison | undefined> {
  const compared = await compareGraphs(source, destination, root, options);
  return isNothingMissing(compared) ? compared : undefined;
}

/** Sets the tag and reads it back. @throws CopyError `TAG_LOST`, `DIGEST_MISMATCH` */
async function setTag(
  destination: Repository,
  tag: string,
  bytes: Uint8Array,
  root: Descriptor,
  { pausesMs = TAG_PAUSES_MS, ...call }: CallOptions & { pausesMs?: readonly number[] },
): Promise<void> {
  const { digest, mediaType } = root;
  await onSide('destination', 'tag', () =>
    destination.pushManifest(bytes, mediaType, { ...call, tag, digest, described: root }),
  );
  await checkTag(destination, tag, root, { ...call, pausesMs });
}

/**
 * Copies an artifact: planned, moved, its arrival verified, then tagged. What is there is not moved again; where all is there,
 * nothing is written.
 * @throws CopyError with the side on which it failed; `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`; InputError `PLATFORM_NOT_FOUND`, `DIGEST_MISMATCH`
 */
export async function copyArtifact(
  source: ReadableRepository,
  tagOrDigest: string,
  destination: Repository,
  options: CopyArtifactOptions = {},
): Promise<CopyReceipt> {
  const { signal, tags = [], concurrency } = options;
  const call = signal ? { signal } : {};
  const [named, standing] = await Promise.all([
    onSide('source', 'resolve', () => source.resolve(tagOrDigest, call)),
    onSide('destination', 'resolve', () => resolveTags(destination, options)),
  ]);
  const { platform } = options;
  const root = platform
    ? await onSide('source', 'choose platform', () => selectPlatform(source, named, platform, call))
    : named;
  if (options.digest !== undefined && options.digest !== root.digest) {
    throw new InputError('DIGEST_MISMATCH', `${source.name} has ${root.digest}, not ${options.digest}`, {
      remedy: 'Copy to a tag, or to the digest that the source has.',
    });
  }
  const receipt = { source: source.name, destination: destination.name, root, tags: [...tags] };
  const looksAtBlobs = options.checkBlobs ?? destination.isLocal ?? false;
  const isTagged = !looksAtBlobs && tags.length > 0 && tags.every((tag) => standing.get(tag) === root.digest);
  const read = isTagged ? rememberReads(source) : source;
  const inSync = isTagged ? await isInSync(read, destination, root, options) : undefined;
  if (inSync) {
    const { manifestCount: nodes, tops } = inSync;
    const done = { nodesDone: nodes, nodesTotal: nodes, movedBytes: 0, doneBytes: 0, totalBytes: 0 };
    if (options.recursive === true)
      for (const descriptor of tops) options.onProgress?.({ state: 'existed', descriptor, ...done });
    const { mediaType, digest, size } = root;
    const existed = [{ kind: 'manifest' as const, mediaType, digest, size }];
    return {
      ...receipt,
      report: { copied: [], existed, mounted: [], tagged: [], movedBytes: 0 },
      leftOut: inSync.leftOut,
      arrival: { manifests: inSync.manifestCount, listed: 0, restored: [] },
    };
  }
  const plan = await onSide('source', 'plan', () =>
    planGraph(read, root, { ...options, keepDescriptions: destination.isLocal ?? false }),
  );
  options.onPlanned?.(plan);
  const requests = concurrency === undefined ? {} : { requestConcurrency: concurrency };
  const report = await copyGraph(plan, source, destination, { ...options, ...requests });
  const { pausesMs } = options;
  const pauses = pausesMs === undefined ? {} : { pausesMs };
  const arrival = await verifyArrival(plan, destination, { ...call, ...requests, ...pauses, source });
  const unset = tags.filter((tag) => standing.get(tag) !== root.digest);
  if (unset.length > 0) {
    const bytes = await rootBytes(plan, source, call);
    for (const tag of unset) {
      await setTag(destination, tag, bytes, root, { ...call, ...pauses });
    }
  }
  return { ...receipt, report, leftOut: plan.leftOut, arrival };
}
