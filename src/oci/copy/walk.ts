import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { InputError } from '../errors.js';
import { artifactTypeOf, isManifestMediaType, parseManifest, type Manifest } from '../manifest.js';
import type { FetchedManifest, ReadableRepository } from '../repository.js';
import { allOrAbort } from '../concurrency.js';
import { Budget } from './budget.js';
import { DigestTags } from './digest-tags.js';
import { findOverlooked } from './overlooked.js';
import { visitReferring } from './referrers-to-copy.js';
import {
  checkWidth,
  describe,
  fetchIfThere,
  leafNode,
  leaveOut,
  listReferrers,
  readDigestTags,
  tooDeep,
  type Context,
  type LeftOut,
  type WalkOptions,
  type Walked,
  type WalkedNode,
  GRAPH_DEPTH,
} from './walk-context.js';

/** The path that led to a manifest. */
interface Visit {
  depth: number;
  recursive: boolean;
  /** The subject whose list of referrers names it. */
  referrerOf?: Digest;
  /** True for a subject, which may be missing. The root and the children of an index must exist. */
  optional?: boolean;
}

/** Parses a manifest. Undefined for a referrer of an unknown kind, so that it does not stop the whole copy. */
function readManifest(
  { source }: Context,
  { bytes, descriptor: { mediaType, digest } }: FetchedManifest,
  isReferrer: boolean,
): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType, `${source.name}@${digest}`);
  } catch (error) {
    // A manifest of a known kind may be a signature that somebody relies on, so it is not skipped.
    if (isReferrer && error instanceof InputError && !isManifestMediaType(mediaType)) return undefined;
    throw error;
  }
}

/**
 * Reads a manifest and describes it as a node.
 * @returns false if it is left out
 */
async function readNode(
  context: Context,
  descriptor: Descriptor,
  visit: Visit,
  signal: AbortSignal,
): Promise<{ node: WalkedNode; manifest?: Manifest } | false> {
  const { excludeArtifactTypes, isKnownLeaf } = context.options;
  const { digest, artifactType } = descriptor;
  const isReferrer = visit.referrerOf !== undefined;
  // If the list has no type, only the manifest shows whether it is excluded.
  const decided = !isReferrer || artifactType !== undefined || excludeArtifactTypes.length === 0;
  // The child of an index is always fetched: only its manifest shows whether it has a subject.
  if (visit.referrerOf !== undefined && decided && (await isKnownLeaf?.(descriptor, visit.referrerOf, signal))) {
    return { node: leafNode(descriptor, visit.referrerOf) };
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

/** Adds a manifest and everything that it leads to. */
async function visit(context: Context, descriptor: Descriptor, how: Visit, signal: AbortSignal): Promise<void> {
  // A second path to a manifest does not wait for the first, so that a cycle cannot wait for itself. `orderFromLeaves`
  // reports cycles.
  if (context.started.has(descriptor.digest)) return;
  if (how.depth > GRAPH_DEPTH) throw tooDeep(`${context.source.name}@${descriptor.digest}`, descriptor.digest);
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
  const visitChildren = children.map((child) => visit(context, child, { depth, recursive }, signal));
  if (context.options.artifactsOnly) {
    context.referring.set(digest, { referrers, tagged });
    await Promise.all(visitChildren);
    return;
  }
  const subject = manifest?.subject;
  await Promise.all([
    ...visitChildren,
    ...referrers.map((referrer) => visit(context, referrer, { depth, recursive, referrerOf: digest }, signal)),
    ...tagged.map(({ descriptor: target }) => visit(context, target, { depth, recursive }, signal)),
    // The root's subject is copied as well, but not the other referrers of that subject.
    ...(subject
      ? [visit(context, subject, { depth, recursive: recursive && how.depth > 0, optional: true }, signal)]
      : []),
  ]);
}

async function visitAll(context: Context, root: Descriptor, signal: AbortSignal): Promise<void> {
  const { recursive } = context.options;
  const { nodes, misplaced, requests, source, started } = context;
  await visit(context, root, { depth: 0, recursive }, signal);
  if (context.options.artifactsOnly) return visitReferring(context, signal);
  for (let found = findOverlooked(nodes, misplaced); found.length > 0; found = findOverlooked(nodes, misplaced)) {
    for (const { digest, descriptor, referrerOf } of found) {
      if (nodes.has(digest)) continue;
      // Visited again only once: it may be left out a second time, because of its type.
      misplaced.delete(digest);
      started.delete(digest);
      const target = descriptor ?? (await requests.run(() => source.resolve(digest, { signal }), signal));
      await visit(context, target, { depth: 1, recursive, ...(referrerOf !== undefined && { referrerOf }) }, signal);
    }
  }
}

/**
 * Finds the graph of a root. Each manifest is fetched once.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`
 * @throws InputError `MANIFEST_INVALID`
 * @throws any error of the source
 */
export async function walkGraph(source: ReadableRepository, root: Descriptor, options: WalkOptions): Promise<Walked> {
  const nodes = new Map<Digest, WalkedNode>();
  const leftOut: LeftOut[] = [];
  const listedByRegistry = new Set<Digest>();
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
      listedByRegistry,
      referring: new Map(),
      keptBytes: 0,
    };
    return [visitAll(context, root, signal)];
  });
  return { nodes, leftOut: eachOnce(leftOut).filter(({ digest }) => !nodes.has(digest)), listedByRegistry };
}

/** Reports each digest once. Any other reason replaces `not-its-subject`. */
function eachOnce(leftOut: readonly LeftOut[]): LeftOut[] {
  const found = new Map<Digest, LeftOut>();
  for (const each of leftOut) {
    const before = found.get(each.digest);
    if (before === undefined || before.reason === 'not-its-subject') found.set(each.digest, each);
  }
  return [...found.values()];
}
