import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError, RegistryError } from '../errors.js';
import {
  artifactTypeOf,
  childrenOf,
  isManifestMediaType,
  isSchema1MediaType,
  schema1Error,
  type Manifest,
} from '../manifest.js';
import type { FetchedManifest, ReadableRepository } from '../store.js';
import type { Budget } from './budget.js';
import type { DigestTags } from './digest-tags.js';
import type { Misplaced } from './overlooked.js';
import { resolveIfThere } from './resolve-if-there.js';

/** Levels of referrers of referrers, and of indexes in indexes. `GRAPH_TOO_DEEP` */
export const GRAPH_DEPTH = 16;
/** Nodes in one graph, blobs included. `GRAPH_TOO_WIDE` */
export const GRAPH_NODES = 100_000;

export interface WalkOptions {
  recursive: boolean;
  /** See `GraphOptions.artifactsOnly`. */
  artifactsOnly: boolean;
  /** Artifact types of referrers to leave out, with all that refers to them. */
  excludeArtifactTypes: readonly string[];
  /** Requests at once. */
  concurrency: number;
  /** Bytes of manifests to keep in all. */
  keepBytes: number;
  /** Bytes of one manifest to keep. */
  keepManifestBytes: number;
  signal?: AbortSignal;
  /** A referrer of `subject` for which this says true is taken for a leaf, and not fetched. */
  isKnownLeaf?: (descriptor: Descriptor, subject: Digest, signal: AbortSignal) => Promise<boolean>;
  /** Told of each manifest: how many were read, of how many that are known so far. */
  onWalked?: (done: number, total: number) => void;
}

/** One manifest that was found. */
export interface WalkedNode {
  /** Media type, digest and size only. */
  descriptor: Descriptor;
  /** As whoever lists it describes it. */
  described?: Descriptor;
  /** Absent where they were not kept, or not fetched. */
  bytes?: Uint8Array;
  /** Config, layers, blobs. */
  blobs: Descriptor[];
  /** Manifests that it lists. */
  children: Digest[];
  subject?: Digest;
  artifactType?: string;
  /** As the source lists them; not all of them are nodes of the graph. */
  referrers: Digest[];
  /** Its digest tags, and the manifest under each. */
  digestTags: { tag: string; digest: Digest }[];
}

/** Why something is not copied. */
export const LEFT_OUT_REASONS = ['excluded', 'gone', 'image', 'not-its-subject', 'unreadable'] as const;

/** A referrer, or what a digest tag leads to, that the source names and that is not copied. */
export interface LeftOut {
  digest: Digest;
  artifactType?: string;
  /**
   * `excluded`: by its type. `gone`: listed, and not there. `image`: it is or holds an image, and only artifacts travel.
   * `not-its-subject`: the manifest refers to something else. `unreadable`: no manifest that can be read for certain.
   */
  reason: (typeof LEFT_OUT_REASONS)[number];
}

export interface Walked {
  nodes: ReadonlyMap<Digest, WalkedNode>;
  leftOut: LeftOut[];
}

/** What the source names of a manifest, beside what the manifest itself names. */
export interface Referring {
  referrers: Descriptor[];
  tagged: { tag: string; descriptor: Descriptor }[];
}

export interface Context {
  source: ReadableRepository;
  options: WalkOptions;
  requests: Budget;
  /** Undefined where referrers are not asked for. */
  digestTags: DigestTags | undefined;
  /** Each manifest is visited once, by the way that comes first. */
  started: Set<Digest>;
  nodes: Map<Digest, WalkedNode>;
  blobs: Set<Digest>;
  leftOut: LeftOut[];
  misplaced: Map<Digest, Misplaced>;
  /** What refers to each node of the promoted graph: with `artifactsOnly` it is visited when that graph is whole. */
  referring: Map<Digest, Referring>;
  keptBytes: number;
}

export const REMEDY = 'Copy a part of it: one platform, or without referrers.';

export function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** @param more nodes that are about to be visited. */
export function checkWidth({ started, blobs, source }: Context, more = 0): void {
  if (started.size + blobs.size + more <= GRAPH_NODES) return;
  throw new CopyError('GRAPH_TOO_WIDE', `the graph in ${source.name} has more than ${GRAPH_NODES} nodes`, {
    details: { limit: GRAPH_NODES },
    remedy: REMEDY,
  });
}

export async function fetchIfThere(
  context: Context,
  descriptor: Descriptor,
  optional: boolean,
  signal: AbortSignal,
): Promise<FetchedManifest | undefined> {
  try {
    return await context.requests.run(() => context.source.fetchManifest(bare(descriptor), { signal }), signal);
  } catch (error) {
    if (optional && error instanceof RegistryError && error.notFound) return undefined;
    throw error;
  }
}

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

/** Keeps a manifest's bytes while there is room for them. */
function keep(context: Context, bytes: Uint8Array): { bytes?: Uint8Array } {
  const { keepBytes, keepManifestBytes } = context.options;
  if (bytes.length > keepManifestBytes || context.keptBytes + bytes.length > keepBytes) return {};
  context.keptBytes += bytes.length;
  return { bytes };
}

export function describe(context: Context, descriptor: Descriptor, manifest: Manifest, bytes: Uint8Array): WalkedNode {
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

export async function listReferrers(context: Context, digest: Digest, signal: AbortSignal): Promise<Descriptor[]> {
  const { digestTags, requests, source } = context;
  // Most manifests have no referrers: each request that is spared for them counts.
  const mayHaveTag = (await digestTags?.mayHaveSchemaTag(digest)) ?? true;
  const listed = await requests.run(
    () => source.listReferrers(digest, { signal, ...(!mayHaveTag && { tagSchema: false }) }),
    signal,
  );
  // Of what is promoted the manifest tells whether it is excluded: the list may be a stranger's, and hide an SBOM.
  if (context.options.artifactsOnly) return listed;
  return listed.filter((descriptor) => {
    const { artifactType } = descriptor;
    if (artifactType === undefined || !context.options.excludeArtifactTypes.includes(artifactType)) return true;
    return leaveOut(context, descriptor, 'excluded');
  });
}

export async function readDigestTags(
  context: Context,
  digest: Digest,
  signal: AbortSignal,
): Promise<Referring['tagged']> {
  const tags = (await context.digestTags?.find(digest)) ?? [];
  const resolved = await Promise.all(
    tags.map(async (tag) => {
      const descriptor = await resolveIfThere(context.source, tag, context.requests, signal);
      // GitLab resolves such tags to the subject itself.
      return descriptor && descriptor.digest !== digest ? [{ tag, descriptor }] : [];
    }),
  );
  return resolved.flat();
}
