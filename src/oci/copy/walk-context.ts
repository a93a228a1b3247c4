import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError, InputError } from '../errors.js';
import {
  artifactTypeOf,
  childrenOf,
  isManifestMediaType,
  isSchema1MediaType,
  parseManifest,
  schema1Error,
  type Manifest,
} from '../manifest.js';
import { getOrMake } from '../memo.js';
import type { FetchedManifest, ReadableRepository } from '../repository.js';
import type { Budget } from './budget.js';
import type { DigestTags } from './digest-tags.js';
import { resolveIfThere } from './side.js';

/** Maximum levels of referrers of referrers and of indexes in indexes. `GRAPH_TOO_DEEP` */
export const GRAPH_DEPTH = 16;
/** Maximum nodes in one graph, including blobs. `GRAPH_TOO_WIDE` */
export const GRAPH_NODES = 100_000;

/** Options of a walk. */
export interface WalkOptions {
  recursive: boolean;
  /** See `GraphOptions.artifactsOnly`. */
  artifactsOnly: boolean;
  /** Artifact types of referrers to leave out, together with everything that refers to them. */
  excludeArtifactTypes: readonly string[];
  /** See `GraphOptions.attached`. */
  attached?: ReadonlyMap<Digest, readonly { digest: Digest }[]> | undefined;
  /** Maximum concurrent requests. */
  concurrency: number;
  /** Maximum total bytes of manifests to keep. */
  keepBytes: number;
  /** Maximum bytes of one manifest to keep. */
  keepManifestBytes: number;
  signal?: AbortSignal | undefined;
  /** Return true to take a referrer of `subject` as a leaf without fetching it. */
  isKnownLeaf?: (descriptor: Descriptor, subject: Digest, signal: AbortSignal) => Promise<boolean>;
  /** Called for each manifest with the number read and the number known so far. */
  onWalked?: ((done: number, total: number) => void) | undefined;
}

/** A manifest of the graph. */
export interface WalkedNode {
  /** Media type, digest and size only. */
  descriptor: Descriptor;
  /** The descriptor from the list that names it. */
  described?: Descriptor;
  /** Absent if the bytes were not kept or not fetched. */
  bytes?: Uint8Array;
  /** Config, layers, blobs. */
  blobs: Descriptor[];
  /** Manifests that this index lists. */
  children: Digest[];
  subject?: Digest;
  artifactType?: string;
  /** Referrers that the source lists. Not all of them are nodes of the graph. */
  referrers: Digest[];
  /** Its digest tags and the manifest that each points to. */
  digestTags: { tag: string; digest: Digest }[];
}

/** Reasons for not copying a referrer. */
export const LEFT_OUT_REASONS = ['excluded', 'gone', 'image', 'not-its-subject', 'unreadable'] as const;

/** A referrer or the target of a digest tag that the source names but that is not copied. */
export interface LeftOut {
  digest: Digest;
  artifactType?: string;
  /**
   * `excluded`: its artifact type is excluded.
   * `gone`: it is listed but does not exist.
   * `image`: it is or contains an image; only artifacts are copied.
   * `not-its-subject`: its manifest refers to something else.
   * `unreadable`: it is not a manifest, or cannot be read unambiguously.
   */
  reason: (typeof LEFT_OUT_REASONS)[number];
}

/** The graph of a root. */
export interface Walked {
  nodes: ReadonlyMap<Digest, WalkedNode>;
  leftOut: LeftOut[];
  /** Referrers that the source's registry lists itself: their subject has no referrers tag, which anybody may write. */
  listedByRegistry: ReadonlySet<Digest>;
}

/** Content that the source associates with a manifest, besides the content that the manifest lists. */
export interface Referring {
  referrers: Descriptor[];
  tagged: { tag: string; descriptor: Descriptor }[];
}

/** A manifest as fetched, and as parsed. */
export interface Read {
  fetched: FetchedManifest;
  /** Or why it cannot be parsed. */
  manifest: Manifest | InputError;
}

/** The state of one walk. */
export interface Context {
  source: ReadableRepository;
  options: WalkOptions;
  requests: Budget;
  /** Undefined if referrers are not copied. */
  digestTags: DigestTags | undefined;
  /** Digests whose visit has started, whether they are taken or not. */
  started: Set<Digest>;
  /** What was read of each manifest that may be needed again. */
  reads: Map<Digest, Promise<Read>>;
  /** What the source associates with each manifest. */
  associated: Map<Digest, Promise<Referring>>;
  described: Map<Digest, WalkedNode>;
  /** The manifests that are taken. */
  nodes: Map<Digest, WalkedNode>;
  blobs: Set<Digest>;
  leftOut: LeftOut[];
  /** See `Walked.listedByRegistry`. */
  listedByRegistry: Set<Digest>;
  /**
   * Referrers of each node of the promoted graph. With `artifactsOnly`, they are visited after that graph is complete.
   */
  referring: Map<Digest, Referring>;
  keptBytes: number;
}

const REMEDY = 'Copy a part of the graph: one platform, or no referrers.';

/** A descriptor with media type, digest and size only. */
function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** A referrer that is not fetched, because the destination has and lists it. */
export function leafNode(descriptor: Descriptor, subject: Digest): WalkedNode {
  return { descriptor: bare(descriptor), blobs: [], children: [], subject, referrers: [], digestTags: [] };
}

/** Creates `GRAPH_TOO_DEEP`. @param where names the manifest */
export function tooDeep(where: string, digest: Digest): CopyError {
  const details = { digest, limit: GRAPH_DEPTH };
  return new CopyError('GRAPH_TOO_DEEP', `${where} is more than ${GRAPH_DEPTH} levels deep`, {
    details,
    remedy: REMEDY,
  });
}

/**
 * @param more nodes that will be visited next
 * @throws CopyError `GRAPH_TOO_WIDE`
 */
export function checkWidth({ started, blobs, source }: Context, more = 0): void {
  if (started.size + blobs.size + more <= GRAPH_NODES) return;
  throw new CopyError('GRAPH_TOO_WIDE', `the graph in ${source.name} has more than ${GRAPH_NODES} nodes`, {
    details: { limit: GRAPH_NODES },
    remedy: REMEDY,
  });
}

/**
 * Reads a manifest once, by whichever path comes first: a list may name a manifest wrongly, and another one rightly.
 * @param target names the manifest, with or without its size and media type
 */
export function readOnce(
  { source, requests, reads }: Context,
  digest: Digest,
  target: Digest | Descriptor,
  signal: AbortSignal,
): Promise<Read> {
  return getOrMake(reads, digest, async () => {
    const wanted = typeof target === 'string' ? target : bare(target);
    const fetched = await requests.run(() => source.fetchManifest(wanted, { signal }), signal);
    return { fetched, manifest: parse(fetched, `${source.name}@${digest}`) };
  });
}

function parse({ bytes, descriptor: { mediaType } }: FetchedManifest, where: string): Manifest | InputError {
  try {
    return parseManifest(bytes, mediaType, where);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

/** Records a referrer that is not copied. */
export function leaveOut(
  context: Context,
  descriptor: Descriptor,
  reason: LeftOut['reason'],
  artifactType?: string,
): false {
  const type = artifactType ?? descriptor.artifactType;
  context.leftOut.push({ digest: descriptor.digest, ...(type !== undefined && { artifactType: type }), reason });
  return false;
}

/** Keeps a manifest's bytes if there is room for them. */
function keep(context: Context, bytes: Uint8Array): { bytes?: Uint8Array } {
  const { keepBytes, keepManifestBytes } = context.options;
  if (bytes.length > keepManifestBytes || context.keptBytes + bytes.length > keepBytes) return {};
  context.keptBytes += bytes.length;
  return { bytes };
}

/**
 * Describes a manifest as a node of the graph, once: thousands of paths may lead to one index with thousands of children.
 * @throws CopyError `GRAPH_TOO_WIDE`
 * @throws InputError `SCHEMA1_UNSUPPORTED`
 */
export function describe(context: Context, { descriptor, bytes }: FetchedManifest, manifest: Manifest): WalkedNode {
  return getOrMake(context.described, descriptor.digest, () => nodeOf(context, descriptor, manifest, bytes));
}

function nodeOf(context: Context, descriptor: Descriptor, manifest: Manifest, bytes: Uint8Array): WalkedNode {
  const content = childrenOf(manifest);
  const inIndex = manifest.kind === 'index';
  const blobs = inIndex ? content.filter((child) => !isManifestMediaType(child.mediaType)) : content;
  const old = inIndex ? blobs.find((child) => isSchema1MediaType(child.mediaType)) : undefined;
  if (old) throw schema1Error(`${context.source.name}@${old.digest}, which ${descriptor.digest} lists,`);
  for (const blob of blobs) context.blobs.add(blob.digest);
  checkWidth(context);
  const artifactType = artifactTypeOf(manifest);
  return {
    descriptor: bare(descriptor),
    ...keep(context, bytes),
    blobs,
    children: inIndex
      ? content.filter((child) => isManifestMediaType(child.mediaType)).map(({ digest }) => digest)
      : [],
    ...(manifest.subject && { subject: manifest.subject.digest }),
    ...(artifactType !== undefined && { artifactType }),
    referrers: [],
    digestTags: [],
  };
}

/**
 * Takes a manifest into the graph.
 * @param described by the list that names it
 * @throws CopyError `GRAPH_TOO_WIDE`
 */
export function take(context: Context, node: WalkedNode, described: Descriptor, referring: Referring): void {
  const { nodes, started, options } = context;
  const { referrers, tagged } = referring;
  nodes.set(node.descriptor.digest, {
    ...node,
    described,
    referrers: referrers.map(({ digest }) => digest),
    digestTags: tagged.map(({ tag, descriptor: { digest } }) => ({ tag, digest })),
  });
  checkWidth(context, referrers.length);
  options.onWalked?.(nodes.size, started.size + referrers.length);
}

/** What the source associates with a manifest; it is asked once. */
export function associatedWith(context: Context, digest: Digest, signal: AbortSignal): Promise<Referring> {
  return getOrMake(context.associated, digest, async () => {
    const [listed, tagged] = await Promise.all([
      listReferrers(context, digest, signal),
      readDigestTags(context, digest, signal),
    ]);
    const known = new Set(listed.map((referrer) => referrer.digest));
    const unlisted = context.options.attached?.get(digest)?.filter((each) => !known.has(each.digest)) ?? [];
    const found = await Promise.all(unlisted.map((each) => findAttached(context, each.digest, signal)));
    return { referrers: [...listed, ...found.filter((each) => each !== undefined)], tagged };
  });
}

/**
 * Lists the referrers of a manifest. Excluded artifact types are dropped, except in a promotion, where the manifest
 * itself shows its type.
 */
async function listReferrers(context: Context, digest: Digest, signal: AbortSignal): Promise<Descriptor[]> {
  const { digestTags, requests, source } = context;
  // Most manifests have no referrers, so each saved request matters.
  const mayHaveTag = (await digestTags?.mayHaveSchemaTag(digest)) ?? true;
  const listed = await requests.run(
    () => source.listReferrers(digest, { signal, ...(!mayHaveTag && { tagSchema: false }) }),
    signal,
  );
  if (!mayHaveTag) for (const referrer of listed) context.listedByRegistry.add(referrer.digest);
  // In a promotion, the manifest decides whether its type is excluded: a stranger may have written the list to hide an
  // SBOM.
  if (context.options.artifactsOnly) return listed;
  return listed.filter((descriptor) => {
    const { artifactType } = descriptor;
    if (artifactType === undefined || !context.options.excludeArtifactTypes.includes(artifactType)) return true;
    return leaveOut(context, descriptor, 'excluded');
  });
}

/** An attachment that the source does not list: a replica is stale, or another writer has overwritten the list. */
async function findAttached(context: Context, digest: Digest, signal: AbortSignal): Promise<Descriptor | undefined> {
  const { requests, source, leftOut } = context;
  const found = await requests.run(() => resolveIfThere(source, digest, { signal }), signal);
  if (found === undefined) leftOut.push({ digest, reason: 'gone' });
  return found;
}

/** The digest tags of a manifest and the manifests that they point to. */
async function readDigestTags(context: Context, digest: Digest, signal: AbortSignal): Promise<Referring['tagged']> {
  const tags = (await context.digestTags?.find(digest)) ?? [];
  const resolved = await Promise.all(
    tags.map(async (tag) => {
      const descriptor = await context.requests.run(() => resolveIfThere(context.source, tag, { signal }), signal);
      // GitLab resolves such tags to the subject itself.
      return descriptor && descriptor.digest !== digest ? [{ tag, descriptor }] : [];
    }),
  );
  return resolved.flat();
}
