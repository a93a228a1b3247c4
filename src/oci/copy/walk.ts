import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError, InputError, RegistryError } from '../errors.js';
import { LIMITS } from '../limits.js';
import {
  artifactTypeOf,
  childrenOf,
  isManifestMediaType,
  isSchema1MediaType,
  parseManifest,
  schema1Error,
  type Manifest,
} from '../manifest.js';
import type { FetchedManifest, ReadableRepository } from '../store.js';
import { allOrAbort } from './all.js';
import { Budget } from './budget.js';
import { DigestTags } from './digest-tags.js';
import { findOverlooked, type Misplaced } from './overlooked.js';
import { resolveIfThere } from './resolve-if-there.js';

export interface WalkOptions {
  recursive: boolean;
  /** Artifact types of referrers to leave out, with all that refers to them. */
  excludeArtifactTypes: readonly string[];
  /** Requests at once. */
  concurrency: number;
  /** Bytes of manifests to keep in all. */
  keepBytes: number;
  /** Bytes of one manifest to keep. */
  keepManifestBytes: number;
  signal?: AbortSignal;
  /** A referrer for which this says true is taken for a leaf, and not fetched. */
  isKnownLeaf?: (descriptor: Descriptor, signal: AbortSignal) => Promise<boolean>;
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

/** A referrer that the source lists and that is not copied. */
export interface LeftOut {
  digest: Digest;
  artifactType?: string;
  /**
   * `excluded`: by its type. `gone`: listed, and not there. `not-its-subject`: the manifest refers to something else.
   * `unreadable`: of a type that is foreign to us, and no manifest that can be read.
   */
  reason: 'excluded' | 'gone' | 'not-its-subject' | 'unreadable';
}

export interface Walked {
  nodes: ReadonlyMap<Digest, WalkedNode>;
  leftOut: LeftOut[];
}

/** How a manifest was come by. */
interface Visit {
  depth: number;
  recursive: boolean;
  /** The digest whose list of referrers it stands in. */
  referrerOf?: Digest;
  /** An index child or root must be there; a subject need not. */
  optional?: boolean;
}

interface Context {
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
  keptBytes: number;
}

const REMEDY = 'Copy a part of it: one platform, or without referrers.';

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** @param more nodes that are about to be visited. */
function checkWidth({ started, blobs, source }: Context, more = 0): void {
  if (started.size + blobs.size + more <= LIMITS.graphNodes) return;
  throw new CopyError('GRAPH_TOO_WIDE', `the graph in ${source.name} has more than ${LIMITS.graphNodes} nodes`, {
    details: { limit: LIMITS.graphNodes },
    remedy: REMEDY,
  });
}

async function fetchIfThere(
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

function leaveOut(context: Context, descriptor: Descriptor, reason: LeftOut['reason'], artifactType?: string): false {
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

function describe(context: Context, descriptor: Descriptor, manifest: Manifest, bytes: Uint8Array): WalkedNode {
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

/** One referrer of a kind that nobody knows must not keep all else from being copied; it is undefined here. */
function readManifest(
  { source }: Context,
  { bytes, descriptor: { mediaType, digest } }: FetchedManifest,
  isReferrer: boolean,
): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType, `${source.name}@${digest}`);
  } catch (error) {
    // One of a known kind may be a signature that somebody counts on.
    if (isReferrer && error instanceof InputError && !isManifestMediaType(mediaType)) return undefined;
    throw error;
  }
}

/** Puts the node and what it is made of into the graph. @returns the manifests that it lists and its subject; false where it is left out. */
async function readNode(
  context: Context,
  descriptor: Descriptor,
  visit: Visit,
  signal: AbortSignal,
): Promise<{ node: WalkedNode; manifest?: Manifest } | false> {
  const { excludeArtifactTypes, isKnownLeaf } = context.options;
  const { digest, artifactType } = descriptor;
  const isReferrer = visit.referrerOf !== undefined;
  // Without the type in the list, only the manifest tells whether it is excluded.
  const decided = !isReferrer || artifactType !== undefined || excludeArtifactTypes.length === 0;
  // Of an index's child only its manifest tells whether it refers to something as well.
  if (visit.referrerOf !== undefined && decided && (await isKnownLeaf?.(descriptor, signal))) {
    const subject = visit.referrerOf;
    return { node: { descriptor: bare(descriptor), blobs: [], children: [], subject, referrers: [], digestTags: [] } };
  }
  const fetched = await fetchIfThere(context, descriptor, isReferrer || visit.optional === true, signal);
  if (!fetched) return isReferrer ? leaveOut(context, descriptor, 'gone') : false;
  const manifest = readManifest(context, fetched, isReferrer);
  if (!manifest) return leaveOut(context, descriptor, 'unreadable');
  if (isReferrer) {
    const type = artifactTypeOf(manifest);
    const subject = manifest.subject?.digest;
    if (subject !== visit.referrerOf) {
      if (subject !== undefined) context.misplaced.set(digest, { descriptor, subject });
      return leaveOut(context, descriptor, 'not-its-subject', type);
    }
    if (type !== undefined && excludeArtifactTypes.includes(type)) {
      return leaveOut(context, descriptor, 'excluded', type);
    }
  }
  return { node: describe(context, fetched.descriptor, manifest, fetched.bytes), manifest };
}

async function listReferrers(context: Context, digest: Digest, signal: AbortSignal): Promise<Descriptor[]> {
  const { digestTags, requests, source } = context;
  // Most manifests have no referrers: each request that is spared for them counts.
  const mayHaveTag = (): boolean => digestTags?.mayHaveSchemaTag(digest) ?? true;
  const listed = await requests.run(
    () => source.listReferrers(digest, { signal, ...(!mayHaveTag() && { tagSchema: false }) }),
    signal,
  );
  return listed.filter((descriptor) => {
    const { artifactType } = descriptor;
    if (artifactType === undefined || !context.options.excludeArtifactTypes.includes(artifactType)) return true;
    return leaveOut(context, descriptor, 'excluded');
  });
}

async function readDigestTags(
  context: Context,
  digest: Digest,
  signal: AbortSignal,
): Promise<{ tag: string; descriptor: Descriptor }[]> {
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

/** Takes a manifest into the graph, and all that hangs on it. */
async function visit(context: Context, descriptor: Descriptor, how: Visit, signal: AbortSignal): Promise<void> {
  // Who meets it again waits for nothing, so that a circle can't wait for itself; `order` finds it.
  if (context.started.has(descriptor.digest)) return;
  if (how.depth > LIMITS.graphDepth) {
    const { digest } = descriptor;
    throw new CopyError('GRAPH_TOO_DEEP', `${context.source.name}@${digest} is over ${LIMITS.graphDepth} levels deep`, {
      details: { digest, limit: LIMITS.graphDepth },
      remedy: REMEDY,
    });
  }
  context.started.add(descriptor.digest);
  checkWidth(context);
  const { digest } = descriptor;
  const { recursive } = how;
  const [read, referrers, tagged] = await Promise.all([
    readNode(context, descriptor, how, signal),
    recursive ? listReferrers(context, digest, signal) : [],
    recursive ? readDigestTags(context, digest, signal) : [],
  ]);
  if (!read) return;
  const { node, manifest } = read;
  context.nodes.set(digest, {
    ...node,
    described: descriptor,
    referrers: referrers.map((referrer) => referrer.digest),
    digestTags: tagged.map(({ tag, descriptor: target }) => ({ tag, digest: target.digest })),
  });
  checkWidth(context, referrers.length);
  context.options.onWalked?.(context.nodes.size, context.started.size + referrers.length);
  const depth = how.depth + 1;
  const children = manifest?.kind === 'index' ? manifest.manifests.filter((c) => isManifestMediaType(c.mediaType)) : [];
  const subject = manifest?.subject;
  await Promise.all([
    ...children.map((child) => visit(context, child, { depth, recursive }, signal)),
    ...referrers.map((referrer) => visit(context, referrer, { depth, recursive, referrerOf: digest }, signal)),
    ...tagged.map(({ descriptor: target }) => visit(context, target, { depth, recursive }, signal)),
    // A root that refers to something takes it along, but not what else refers to that.
    ...(subject
      ? [visit(context, subject, { depth, recursive: recursive && how.depth > 0, optional: true }, signal)]
      : []),
  ]);
}

async function visitAll(context: Context, root: Descriptor, signal: AbortSignal): Promise<void> {
  const { recursive } = context.options;
  const { nodes, misplaced, requests, source, started } = context;
  await visit(context, root, { depth: 0, recursive }, signal);
  for (let found = findOverlooked(nodes, misplaced); found.length > 0; found = findOverlooked(nodes, misplaced)) {
    for (const { digest, descriptor, referrerOf } of found) {
      if (nodes.has(digest)) continue;
      // Once: by its type it may be left out again.
      misplaced.delete(digest);
      started.delete(digest);
      const target = descriptor ?? (await requests.run(() => source.resolve(digest, { signal }), signal));
      await visit(context, target, { depth: 1, recursive, ...(referrerOf !== undefined && { referrerOf }) }, signal);
    }
  }
}

/**
 * Finds all that belongs to a root, each manifest fetched once.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`; InputError `MANIFEST_INVALID`; what the source throws.
 */
export async function walkGraph(source: ReadableRepository, root: Descriptor, options: WalkOptions): Promise<Walked> {
  const nodes = new Map<Digest, WalkedNode>();
  const leftOut: LeftOut[] = [];
  await allOrAbort(options.signal, (signal) => {
    const requests = new Budget(options.concurrency);
    const context: Context = {
      source,
      options,
      requests,
      digestTags: options.recursive ? new DigestTags(source, requests, signal) : undefined,
      started: new Set(),
      nodes,
      blobs: new Set(),
      leftOut,
      misplaced: new Map(),
      keptBytes: 0,
    };
    return [visitAll(context, root, signal)];
  });
  return { nodes, leftOut: leftOut.filter(({ digest }) => !nodes.has(digest)) };
}
