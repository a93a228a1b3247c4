import { contentKindOf } from '../content-kind.js';
import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { InputError, IntegrityError, RegistryError } from '../errors.js';
import { artifactTypeOf, childrenOf, isManifestMediaType, parseManifest, type Manifest } from '../manifest.js';
import type { FetchedManifest } from '../store.js';
import {
  bare,
  checkWidth,
  describe,
  leaveOut,
  listReferrers,
  readDigestTags,
  type Context,
  type LeftOut,
  type Referring,
  type WalkedNode,
  GRAPH_DEPTH,
} from './walk-context.js';

/** Manifests that one index may hold, at any depth, if it refers to what is promoted; more are `REFERRER_UNREADABLE`. */
export const MOST_HELD_MANIFESTS = 1000;
/** The same for all such indexes of one walk together. */
const MOST_HELD_IN_ALL = 10_000;
/**
 * Blobs that manifests with more than `FEW_BLOBS` may name in all, if they refer to what is promoted; what names more is
 * `REFERRER_UNREADABLE`.
 */
const MANY_BLOBS = 20_000;
const FEW_BLOBS = 8;
/** Of those manifests, how many are looked at at once. */
const JUDGED_AT_ONCE = 16;

type Reason = LeftOut['reason'];

interface Read {
  fetched: FetchedManifest;
  manifest: Manifest;
}

/** What was read, or why it was not. */
type Reading = Read | { reason: Reason };

/** How a manifest was found: in a list of referrers, under a digest tag, or in an index that travels. */
interface Way {
  by: 'list' | 'tag' | 'index';
  /** Whose list, tag or child it is. */
  owner: Digest;
  depth: number;
  /** False if the owner does not travel after all. Its manifest is fetched for this only if it was not before. */
  confirmOwner: () => Promise<boolean>;
}

interface Accepted {
  node: WalkedNode;
  manifest?: Manifest;
  confirm: () => Promise<boolean>;
}

const sure = (): Promise<boolean> => Promise.resolve(true);

/**
 * Visits what refers to a graph that is promoted, once that graph is whole: `context.nodes` are its manifests and no others. Takes
 * artifacts, attestations and indexes of them, and what refers to those. Each manifest is fetched once by its digest, whatever the
 * lists say of it, and judged by its content. What does not travel is left out and named; it never fails the walk.
 */
export async function visitReferring(context: Context, signal: AbortSignal): Promise<void> {
  const travel = new Travel(context, signal);
  await Promise.all(
    [...context.referring].map(([owner, referring]) =>
      travel.follow(referring, { owner, depth: 1, confirmOwner: sure }),
    ),
  );
}

class Travel {
  readonly #context: Context;
  readonly #signal: AbortSignal;
  /** The promoted graph: checked and signed by whoever promotes it. */
  readonly #promoted: ReadonlySet<Digest>;
  readonly #read = new Map<Digest, Promise<Reading>>();
  readonly #judged = new Map<Digest, Promise<Reason | undefined>>();
  readonly #described = new Map<Digest, WalkedNode>();
  readonly #listed = new Map<Digest, Promise<Referring>>();
  readonly #taken = new Set<Digest>();
  /** Manifests that indexes may still hold, in all. */
  #room: number = MOST_HELD_IN_ALL;
  /** Blobs that manifests with more than a few may still name, in all. */
  #blobRoom: number = MANY_BLOBS;

  constructor(context: Context, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    this.#promoted = new Set(context.nodes.keys());
  }

  async follow({ referrers, tagged }: Referring, way: Omit<Way, 'by'>): Promise<void> {
    await Promise.all([
      ...referrers.map((descriptor) => this.#visit({ ...way, by: 'list' }, descriptor)),
      ...tagged.map(({ descriptor }) => this.#visit({ ...way, by: 'tag' }, descriptor)),
    ]);
  }

  async #visit(way: Way, descriptor: Descriptor): Promise<void> {
    const context = this.#context;
    const { digest } = descriptor;
    if (this.#promoted.has(digest)) return;
    if (way.depth > GRAPH_DEPTH) return this.#leaveOut(descriptor, 'unreadable');
    context.started.add(digest);
    checkWidth(context);
    const [accepted, referring] = await Promise.all([this.#accept(way, descriptor), this.#list(digest)]);
    if (!accepted) return;
    const { node, manifest, confirm } = accepted;
    const isKnown = this.#taken.has(digest);
    if (!isKnown || manifest !== undefined) this.#put(node, descriptor, referring);
    if (isKnown) return;
    this.#taken.add(digest);
    checkWidth(context, referring.referrers.length);
    context.options.onWalked?.(context.nodes.size, context.started.size + referring.referrers.length);
    const next = { owner: digest, depth: way.depth + 1, confirmOwner: confirm };
    await Promise.all([
      this.follow(referring, next),
      ...listedIn(manifest).map((child) => this.#visit({ ...next, by: 'index' }, child)),
    ]);
  }

  #put(node: WalkedNode, described: Descriptor, { referrers, tagged }: Referring): void {
    this.#context.nodes.set(node.descriptor.digest, {
      ...node,
      described,
      referrers: referrers.map(({ digest }) => digest),
      digestTags: tagged.map(({ tag, descriptor: { digest } }) => ({ tag, digest })),
    });
  }

  #list(digest: Digest): Promise<Referring> {
    const listing =
      this.#listed.get(digest) ??
      Promise.all([
        listReferrers(this.#context, digest, this.#signal),
        readDigestTags(this.#context, digest, this.#signal),
      ]).then(([referrers, tagged]) => ({ referrers, tagged }));
    this.#listed.set(digest, listing);
    return listing;
  }

  async #accept(way: Way, descriptor: Descriptor): Promise<Accepted | undefined> {
    const { isKnownLeaf, excludeArtifactTypes } = this.#context.options;
    const { artifactType } = descriptor;
    const isListedExcluded = artifactType !== undefined && excludeArtifactTypes.includes(artifactType);
    // The manifest tells whether it is excluded: a list may leave the type out, or lie.
    const isDecided = (artifactType !== undefined && !isListedExcluded) || excludeArtifactTypes.length === 0;
    if (way.by === 'list' && isDecided && (await isKnownLeaf?.(descriptor, way.owner, this.#signal))) {
      return this.#knownLeaf(way, descriptor);
    }
    const read = await this.#readOnce(descriptor.digest);
    if ('reason' in read) {
      return this.#leaveOut(descriptor, read.reason === 'gone' && isListedExcluded ? 'excluded' : read.reason);
    }
    const { fetched, manifest } = read;
    const type = artifactTypeOf(manifest);
    const reason = this.#whyNotThisWay(way, manifest, type) ?? (await this.#judgeOnce(read, way.depth));
    if (reason !== undefined) return this.#leaveOut(descriptor, reason, type);
    if (!(await way.confirmOwner())) return undefined;
    return { node: this.#describeOnce(fetched, manifest), manifest, confirm: sure };
  }

  /** An index with thousands of children may be come by in a thousand ways. */
  #describeOnce({ descriptor, bytes }: FetchedManifest, manifest: Manifest): WalkedNode {
    const node = this.#described.get(descriptor.digest) ?? describe(this.#context, descriptor, manifest, bytes);
    this.#described.set(descriptor.digest, node);
    return node;
  }

  /** The destination has it and lists it, so it is no difference whatever it is. What refers to it travels only if it does. */
  #knownLeaf(way: Way, descriptor: Descriptor): Accepted {
    const { digest } = descriptor;
    const base = { descriptor: bare(descriptor), blobs: [], children: [], referrers: [], digestTags: [] };
    let confirmed: Promise<boolean> | undefined;
    const confirm = async (): Promise<boolean> => {
      const read = await this.#readOnce(digest);
      const reason = 'reason' in read ? read.reason : await this.#judgeOnce(read, way.depth);
      if (reason === undefined) return way.confirmOwner();
      this.#context.nodes.delete(digest);
      this.#leaveOut(descriptor, reason);
      return false;
    };
    return { node: { ...base, subject: way.owner }, confirm: () => (confirmed ??= confirm()) };
  }

  #whyNotThisWay({ by, owner }: Way, { subject }: Manifest, type: string | undefined): Reason | undefined {
    // An index that was judged vouches for what it lists.
    if (by === 'index') return undefined;
    const isOwn = subject?.digest === owner;
    // Its subject would have to be there as well, and may be an image that nobody promotes.
    if (by === 'list' ? !isOwn : subject && !isOwn && !this.#promoted.has(subject.digest)) return 'not-its-subject';
    const isExcluded = type !== undefined && this.#context.options.excludeArtifactTypes.includes(type);
    return subject && isExcluded ? 'excluded' : undefined;
  }

  #leaveOut(descriptor: Descriptor, reason: Reason, type?: string): undefined {
    leaveOut(this.#context, descriptor, reason, type);
  }

  #readOnce(digest: Digest): Promise<Reading> {
    const reading = this.#read.get(digest) ?? this.#readManifest(digest);
    this.#read.set(digest, reading);
    return reading;
  }

  async #readManifest(digest: Digest): Promise<Reading> {
    const { source, requests } = this.#context;
    const signal = this.#signal;
    try {
      const fetched = await requests.run(() => source.fetchManifest(digest, { signal }), signal);
      return {
        fetched,
        manifest: parseManifest(fetched.bytes, fetched.descriptor.mediaType, `${source.name}@${digest}`),
      };
    } catch (error) {
      if (error instanceof RegistryError && error.notFound) return { reason: 'gone' };
      return { reason: unreadable(error) };
    }
  }

  /** @param room manifests that one index may still hold, at any depth */
  #judgeOnce(read: Read, depth: number, room = emptyRoom()): Promise<Reason | undefined> {
    const { digest } = read.fetched.descriptor;
    const judging = this.#judged.get(digest) ?? this.#judge(read, depth, room);
    this.#judged.set(digest, judging);
    return judging;
  }

  async #judge({ fetched, manifest }: Read, depth: number, room: { left: number }): Promise<Reason | undefined> {
    if (manifest.kind === 'index') return this.#judgeIndex(manifest, depth, room);
    const { source, requests } = this.#context;
    const signal = this.#signal;
    try {
      const kind = await requests.run(
        () => contentKindOf(source, fetched.descriptor.digest, manifest, { signal }),
        signal,
      );
      if (kind === 'image') return 'image';
      return this.#hasRoomFor(manifest) ? undefined : 'unreadable';
    } catch (error) {
      if (error instanceof RegistryError && error.notFound) return 'unreadable';
      return unreadable(error);
    }
  }

  /** Foreign layers need not be anywhere: a few manifests could name more of them than a graph may have. */
  #hasRoomFor(manifest: Manifest): boolean {
    const { length } = childrenOf(manifest);
    if (length <= FEW_BLOBS) return true;
    this.#blobRoom -= length;
    return this.#blobRoom >= 0;
  }

  /** An index travels if all that it holds does, at any depth. What is no manifest by its type may be run all the same: podman sniffs. */
  async #judgeIndex(
    index: Extract<Manifest, { kind: 'index' }>,
    depth: number,
    room: { left: number },
  ): Promise<Reason | undefined> {
    const children = new Set(index.manifests.map(({ digest }) => digest));
    room.left -= children.size;
    this.#room -= children.size;
    const isKnown = index.manifests.every(({ mediaType }) => isManifestMediaType(mediaType));
    if (depth >= GRAPH_DEPTH || room.left < 0 || this.#room < 0 || !isKnown) return 'unreadable';
    const judgeChild = async (digest: Digest): Promise<Reason | undefined> => {
      const read = await this.#readOnce(digest);
      if ('reason' in read) return 'unreadable';
      const of = read.manifest.subject?.digest;
      const isHeld = of === undefined || of === index.subject?.digest || this.#promoted.has(of);
      if (!isHeld && !(children.has(of) && (await this.#isOnItsOwn(of)))) return 'unreadable';
      return this.#judgeOnce(read, depth + 1, room);
    };
    const digests = [...children];
    // A few at a time: the first image ends it.
    for (let from = 0; from < digests.length; from += JUDGED_AT_ONCE) {
      const reasons = await Promise.all(digests.slice(from, from + JUDGED_AT_ONCE).map(judgeChild));
      const reason = reasons.find((each) => each === 'image') ?? reasons.find((each) => each !== undefined);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** It refers to nothing: a chain of children that refer to each other would be as deep as it is long. */
  async #isOnItsOwn(digest: Digest): Promise<boolean> {
    const read = await this.#readOnce(digest);
    return !('reason' in read) && read.manifest.subject === undefined;
  }
}

/** What an index lists, each once: it may list one manifest twenty thousand times. */
function listedIn(manifest: Manifest | undefined): Descriptor[] {
  if (manifest?.kind !== 'index') return [];
  return [...new Map(manifest.manifests.map((child) => [child.digest, child])).values()];
}

function emptyRoom(): { left: number } {
  return { left: MOST_HELD_MANIFESTS };
}

/** What a stranger wrote is left out. What else went wrong is thrown: a registry that is down says nothing of what it holds. */
function unreadable(error: unknown): 'unreadable' {
  if (error instanceof InputError || error instanceof IntegrityError) return 'unreadable';
  throw error;
}
