import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { ifThere, InputError } from '../errors.js';
import { artifactTypeOf, isManifestMediaType, type Manifest } from '../manifest.js';
import type { ReadableRepository } from '../repository.js';
import { allOrAbort } from '../concurrency.js';
import { Budget } from './budget.js';
import { DigestTags } from './digest-tags.js';
import { visitReferring } from './referrers-to-copy.js';
import {
  associatedWith,
  checkWidth,
  describe,
  leafNode,
  leaveOut,
  readOnce,
  take,
  tooDeep,
  type Context,
  type LeftOut,
  type Read,
  type Referring,
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
  const { referrerOf, optional = referrerOf !== undefined } = visit;
  // If the list has no type, only the manifest shows whether it is excluded.
  const decided = artifactType !== undefined || excludeArtifactTypes.length === 0;
  // The child of an index is always fetched: only its manifest shows whether it has a subject.
  if (referrerOf !== undefined && decided && (await isKnownLeaf?.(descriptor, referrerOf, signal))) {
    return { node: leafNode(descriptor, referrerOf) };
  }
  const read = (): Promise<Read> => readOnce(context, digest, descriptor, signal);
  const found = await (optional ? ifThere(read) : read());
  if (!found) return referrerOf !== undefined && leaveOut(context, descriptor, 'gone');
  const { fetched, manifest } = found;
  if (manifest instanceof InputError) {
    // A manifest of a known kind may be a signature that somebody relies on, so it is not skipped.
    if (referrerOf === undefined || isManifestMediaType(fetched.descriptor.mediaType)) throw manifest;
    return leaveOut(context, descriptor, 'unreadable');
  }
  if (referrerOf !== undefined) {
    const type = artifactTypeOf(manifest);
    if (manifest.subject?.digest !== referrerOf) return leaveOut(context, descriptor, 'not-its-subject', type);
    if (type !== undefined && excludeArtifactTypes.includes(type)) {
      return leaveOut(context, descriptor, 'excluded', type);
    }
  }
  return { node: describe(context, fetched, manifest), manifest };
}

const NOTHING: Referring = { referrers: [], tagged: [] };

/** Adds a manifest and everything that it leads to. */
async function visit(context: Context, descriptor: Descriptor, how: Visit, signal: AbortSignal): Promise<void> {
  // A second path to a manifest does not wait for what the first leads to, so that a cycle cannot wait for itself.
  // `orderFromLeaves` reports cycles.
  const { digest } = descriptor;
  if (context.nodes.has(digest)) return;
  if (how.depth > GRAPH_DEPTH) throw tooDeep(`${context.source.name}@${digest}`, digest);
  context.started.add(digest);
  checkWidth(context);
  const { recursive } = how;
  const [read, referring] = await Promise.all([
    readNode(context, descriptor, how, signal),
    recursive ? associatedWith(context, digest, signal) : NOTHING,
  ]);
  if (!read || context.nodes.has(digest)) return;
  const { node, manifest } = read;
  const { referrers, tagged } = referring;
  take(context, node, descriptor, referring);
  // No path reads a manifest that is taken, so its bytes need not stay in memory.
  context.reads.delete(digest);
  const depth = how.depth + 1;
  const children = manifest?.kind === 'index' ? manifest.manifests.filter((c) => isManifestMediaType(c.mediaType)) : [];
  const visitChildren = children.map((child) => visit(context, child, { depth, recursive }, signal));
  if (context.options.artifactsOnly) {
    context.referring.set(digest, referring);
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
  await visit(context, root, { depth: 0, recursive: context.options.recursive }, signal);
  if (context.options.artifactsOnly) await visitReferring(context, signal);
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
      reads: new Map(),
      associated: new Map(),
      described: new Map(),
      nodes,
      blobs: new Set(),
      leftOut,
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
