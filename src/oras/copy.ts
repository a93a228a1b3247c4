import {
  resolveIfThere,
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
import { checkTag } from './check-tag.js';
import { selectPlatform, type WantedPlatform } from './platform.js';

/** Pauses in milliseconds before a tag is read back again. `TAG_LOST` */
const TAG_PAUSES_MS = [0, 250, 1000];

export interface CopyArtifactOptions extends CallOptions {
  /** Copies referrers too, their referrers, and those of index children. Default: false. */
  recursive?: boolean;
  /** Copies that child of an index, and its referrers. */
  platform?: WantedPlatform;
  /** Tags to set at the destination after the arrival was verified. Without tags, only the digest is copied. */
  tags?: readonly string[];
  /** The digest that the source must have; any other is refused. */
  digest?: Digest;
  /** Repositories of the destination's registry to mount blobs from. */
  mountFrom?: readonly string[];
  /** Artifact types of referrers to leave out; by default Azure's artifact streaming. */
  excludeArtifactTypes?: readonly string[];
  /**
   * Asks the destination for every blob even if it has the manifests, and so finds lost blobs. Default: only for a layout, where it
   * costs nothing.
   */
  checkBlobs?: boolean;
  /** Requests at once on each side. Default: 32. */
  concurrency?: number;
  /**
   * Pauses in milliseconds before the destination is asked again for missing content. Default: a few seconds in total.
   */
  pausesMs?: readonly number[];
  /** Called before the first transfer, if there is one. */
  onPlanned?: (plan: CopyPlan) => void;
  /** If nothing has to be copied, called for the manifests that no other one refers to. */
  onProgress?: (progress: CopyProgress) => void;
}

/** The receipt of a copy. */
export interface CopyReceipt {
  source: string;
  destination: string;
  root: Descriptor;
  /** Tags that were set, or that pointed to the root already. */
  tags: string[];
  report: CopyReport;
  /** Referrers that the source lists and that were not copied. */
  leftOut: LeftOut[];
  arrival: ArrivalReport;
}

async function resolveTags(destination: Repository, options: CopyArtifactOptions): Promise<Map<string, Digest>> {
  const { tags = [], signal } = options;
  const tagged = new Map<string, Digest>();
  await Promise.all(
    tags.map(async (tag) => {
      const found = await resolveIfThere(destination, tag, { signal });
      if (found !== undefined) tagged.set(tag, found.digest);
    }),
  );
  return tagged;
}

/** If every tag is right already, there may be nothing to do: comparing is cheaper than planning. */
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
 * Plans the copy of an artifact, copies what the destination does not have, verifies the arrival, and sets the tags. If the
 * destination has everything, nothing is written.
 * @throws CopyError with the side on which it failed; `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`; InputError `PLATFORM_NOT_FOUND`, `DIGEST_MISMATCH`
 */
export async function copyArtifact(
  source: ReadableRepository,
  tagOrDigest: string,
  destination: Repository,
  options: CopyArtifactOptions = {},
): Promise<CopyReceipt> {
  const { signal, tags = [], concurrency } = options;
  const call = { signal };
  const [named, tagged] = await Promise.all([
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
  const isTagged = !looksAtBlobs && tags.length > 0 && tags.every((tag) => tagged.get(tag) === root.digest);
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
  const unset = tags.filter((tag) => tagged.get(tag) !== root.digest);
  if (unset.length > 0) {
    const bytes = await rootBytes(plan, source, call);
    for (const tag of unset) {
      await setTag(destination, tag, bytes, root, { ...call, ...pauses });
    }
  }
  return { ...receipt, report, leftOut: plan.leftOut, arrival };
}
