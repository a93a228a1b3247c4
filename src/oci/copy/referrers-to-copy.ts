import { contentKindOf } from '../content-kind.js';
import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { InputError, IntegrityError, RegistryError } from '../errors.js';
import { artifactTypeOf, childrenOf, isManifestMediaType, type Manifest } from '../manifest.js';
import { getOrMake } from '../memo.js';
import type { FetchedManifest } from '../repository.js';
import {
  associatedWith,
  checkWidth,
  describe,
  leafNode,
  leaveOut,
  readOnce,
  take,
  type Context,
  type LeftOut,
  type Referring,
  type WalkedNode,
  GRAPH_DEPTH,
} from './walk-context.js';

/**
 * Maximum manifests that one index among the referrers may contain, at any depth. An index with more is left out as
 * `unreadable`.
 */
export const MOST_HELD_MANIFESTS = 1000;
/** Maximum manifests in all such indexes of one walk. */
const MOST_HELD_IN_ALL = 10_000;
/**
 * Maximum blobs that referrers with more than `FEW_BLOBS` blobs may name in total. A manifest beyond that is left out
 * as `unreadable`.
 */
const MANY_BLOBS = 20_000;
const FEW_BLOBS = 8;
/** Children of one index that are judged at once. */
const JUDGED_AT_ONCE = 16;

type Reason = LeftOut['reason'];

interface Read {
  fetched: FetchedManifest;
  manifest: Manifest;
}

/** The manifest, or the reason why it was not read. */
type Reading = Read | { reason: Reason };

/** The path that led to a manifest: a list of referrers, a digest tag, or an index among the referrers. */
interface Way {
  by: 'list' | 'tag' | 'index';
  /** The manifest whose list, tag or child it is. */
  owner: Digest;
  depth: number;
  /** False if the owner is not copied after all. Fetches the owner's manifest if that was not done before. */
  confirmOwner: () => Promise<boolean>;
}

interface Accepted {
  node: WalkedNode;
  manifest?: Manifest;
  confirm: () => Promise<boolean>;
}

const sure = (): Promise<boolean> => Promise.resolve(true);

/**
 * Visits the referrers of a promoted graph after that graph is complete, that is when `context.nodes` has exactly its
 * manifests. Takes artifacts, attestations and indexes of these, and their referrers. Each manifest is fetched once by
 * its digest and judged by its content, whatever the lists say. Other content is left out with a reason; it never fails
 * the walk.
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
  /** The promoted graph, which the promotion itself checks and signs. */
  readonly #promoted: ReadonlySet<Digest>;
  readonly #judged = new Map<Digest, Promise<Reason | undefined>>();
  readonly #taken = new Set<Digest>();
  /** Number of manifests that indexes may still contain. */
  #room: number = MOST_HELD_IN_ALL;
  /** Number of blobs that manifests with more than `FEW_BLOBS` blobs may still name. */
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
    const [accepted, referring] = await Promise.all([
      this.#accept(way, descriptor),
      associatedWith(context, digest, this.#signal),
    ]);
    if (!accepted) return;
    const { node, manifest, confirm } = accepted;
    const isKnown = this.#taken.has(digest);
    if (!isKnown || manifest !== undefined) take(context, node, descriptor, referring);
    if (isKnown) return;
    this.#taken.add(digest);
    const next = { owner: digest, depth: way.depth + 1, confirmOwner: confirm };
    await Promise.all([
      this.follow(referring, next),
      ...listedIn(manifest).map((child) => this.#visit({ ...next, by: 'index' }, child)),
    ]);
  }

  async #accept(way: Way, descriptor: Descriptor): Promise<Accepted | undefined> {
    const { isKnownLeaf, excludeArtifactTypes } = this.#context.options;
    const { artifactType } = descriptor;
    const isListedExcluded = artifactType !== undefined && excludeArtifactTypes.includes(artifactType);
    // Only the manifest shows whether the type is excluded: the list may omit the type or state a wrong one.
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
    return { node: describe(this.#context, fetched, manifest), manifest, confirm: sure };
  }

  /**
   * The destination has and lists this referrer, so it is not a difference, whatever it is. Its own referrers are
   * copied only if it may be copied.
   */
  #knownLeaf(way: Way, descriptor: Descriptor): Accepted {
    const { digest } = descriptor;
    let confirmed: Promise<boolean> | undefined;
    const confirm = async (): Promise<boolean> => {
      const read = await this.#readOnce(digest);
      const reason = 'reason' in read ? read.reason : await this.#judgeOnce(read, way.depth);
      if (reason === undefined) return way.confirmOwner();
      this.#context.nodes.delete(digest);
      this.#leaveOut(descriptor, reason);
      return false;
    };
    return { node: leafNode(descriptor, way.owner), confirm: () => (confirmed ??= confirm()) };
  }

  #whyNotThisWay({ by, owner }: Way, { subject }: Manifest, type: string | undefined): Reason | undefined {
    // The children of an index were checked with the index.
    if (by === 'index') return undefined;
    const isOwn = subject?.digest === owner;
    // Its subject would have to be copied as well, and may be an image that nobody promotes.
    if (by === 'list' ? !isOwn : subject && !isOwn && !this.#promoted.has(subject.digest)) return 'not-its-subject';
    const isExcluded = type !== undefined && this.#context.options.excludeArtifactTypes.includes(type);
    return subject && isExcluded ? 'excluded' : undefined;
  }

  #leaveOut(descriptor: Descriptor, reason: Reason, type?: string): undefined {
    leaveOut(this.#context, descriptor, reason, type);
  }

  async #readOnce(digest: Digest): Promise<Reading> {
    try {
      const { fetched, manifest } = await readOnce(this.#context, digest, digest, this.#signal);
      return manifest instanceof InputError ? { reason: 'unreadable' } : { fetched, manifest };
    } catch (error) {
      if (error instanceof RegistryError && error.notFound) return { reason: 'gone' };
      return { reason: unreadable(error) };
    }
  }

  /** @param room how many more manifests one index may contain, at any depth */
  #judgeOnce(read: Read, depth: number, room = { left: MOST_HELD_MANIFESTS }): Promise<Reason | undefined> {
    return getOrMake(this.#judged, read.fetched.descriptor.digest, () => this.#judge(read, depth, room));
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

  /** Registries accept manifests whose foreign layers do not exist, so a few manifests could name very many of them. */
  #hasRoomFor(manifest: Manifest): boolean {
    const { length } = childrenOf(manifest);
    if (length <= FEW_BLOBS) return true;
    this.#blobRoom -= length;
    return this.#blobRoom >= 0;
  }

  /**
   * An index is copied if all of its content may be, at any depth. A child whose media type is not a manifest's is
   * refused too, because podman detects the type from the content.
   */
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
    // A few at a time: the first image ends the loop.
    for (let from = 0; from < digests.length; from += JUDGED_AT_ONCE) {
      const reasons = await Promise.all(digests.slice(from, from + JUDGED_AT_ONCE).map(judgeChild));
      const reason = reasons.find((each) => each === 'image') ?? reasons.find((each) => each !== undefined);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** True if it has no subject. Children that refer to each other could form a chain of any depth. */
  async #isOnItsOwn(digest: Digest): Promise<boolean> {
    const read = await this.#readOnce(digest);
    return !('reason' in read) && read.manifest.subject === undefined;
  }
}

/** The children of an index, each once: an index may list one manifest twenty thousand times. */
function listedIn(manifest: Manifest | undefined): Descriptor[] {
  if (manifest?.kind !== 'index') return [];
  return [...new Map(manifest.manifests.map((child) => [child.digest, child])).values()];
}

/**
 * Content that a stranger wrote wrongly is left out. Other errors are thrown: a registry that is down says nothing
 * about its content.
 */
function unreadable(error: unknown): 'unreadable' {
  if (error instanceof InputError || error instanceof IntegrityError) return 'unreadable';
  throw error;
}
