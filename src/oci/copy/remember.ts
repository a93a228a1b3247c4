import { buffer } from 'node:stream/consumers';
import type { Descriptor } from '../descriptor.js';
import { digestOf, isDigest, type Digest } from '../digest.js';
import { RegistryError, type RegistryErrorInfo } from '../errors.js';
import { once } from '../content.js';
import { withArtifactTypes } from '../registry/referrers-index.js';
import type {
  BlobOptions,
  CallOptions,
  FetchedManifest,
  ManifestOptions,
  OpenBody,
  ReadableRepository,
  ReferrersOptions,
  Repository,
} from '../repository.js';
import { PLAN_BYTES } from './plan.js';
import { DIGEST_TAG_SCAN } from './digest-tags.js';

/** Maximum bytes of a blob that is remembered. Signature envelopes are smaller. */
const REMEMBERED_BLOB_BYTES = 64 * 1024;

/** A repository's answer to one request, or the fact that a write is done. JSON, except the bytes. */
export interface Answer {
  descriptor?: Descriptor | undefined;
  /** The content of a manifest (with its descriptor) or of a blob. */
  bytes?: Uint8Array | undefined;
  referrers?: Descriptor[] | undefined;
  tags?: string[] | undefined;
  yes?: boolean | undefined;
  /** When the event first happened, in milliseconds since 1970. */
  at?: number | undefined;
  /** Set if the content does not exist: what is needed to throw the same error again. */
  missing?: { code: string; message: string; info: RegistryErrorInfo; remedy?: string | undefined } | undefined;
}

/** Stores answers of repositories. */
export interface Memory {
  /** The stored answer, or undefined. No request is sent. */
  known(question: string): Answer | undefined;
  /** The stored answer, or the result of `ask`, which is then stored. */
  recall(question: string, ask: () => Promise<Answer>): Promise<Answer>;
  /** Runs a request whose answer is not stored. */
  pass<T>(work: () => Promise<T>): Promise<T>;
}

/** Stores answers in this process, with at most PLAN_BYTES of manifests and blobs. */
class OwnMemory implements Memory {
  readonly #answers = new Map<string, Answer>();
  #bytes = 0;

  known(question: string): Answer | undefined {
    return this.#answers.get(question);
  }

  async recall(question: string, ask: () => Promise<Answer>): Promise<Answer> {
    const kept = this.#answers.get(question);
    if (kept) return kept;
    const answer = await ask();
    const bytes = answer.bytes?.length ?? 0;
    if (this.#bytes + bytes <= PLAN_BYTES) {
      this.#bytes += bytes;
      this.#answers.set(question, answer);
    }
    return answer;
  }

  pass<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
}

/**
 * A source that remembers its answers, so that a plan after a comparison does not repeat its requests. Changes at the
 * source after the first request are not seen.
 */
export function rememberReads(source: ReadableRepository, memory: Memory = new OwnMemory()): ReadableRepository {
  return new RememberedReads(source, memory, 0);
}

/**
 * A repository that remembers its answers and writes: a write that is done is not repeated. Requests of another `round`
 * are independent.
 */
export function rememberRepository(repository: Repository, memory: Memory, round = 0): Repository {
  return new RememberedRepository(repository, memory, round);
}

/** Turns a `notFound` error into an answer that can be stored. */
async function orMissing(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    const { code, message, info, remedy } = error;
    return { missing: { code, message, info, remedy } };
  }
}

/** Throws the stored `notFound` error again. */
function orThrow(answer: Answer): Answer {
  if (answer.missing === undefined) return answer;
  const { code, message, info, remedy } = answer.missing;
  throw new RegistryError(message, info, { code, ...(remedy !== undefined && { remedy }) });
}

class RememberedReads implements ReadableRepository {
  readonly name: string;
  protected readonly memory: Memory;
  readonly #inner: ReadableRepository;
  readonly #round: number;

  constructor(inner: ReadableRepository, memory: Memory, round: number) {
    this.name = inner.name;
    this.memory = memory;
    this.#inner = inner;
    this.#round = round;
  }

  /** The key under which an answer is stored. */
  protected question(kind: string, what: string): string {
    return `${kind} ${this.#round === 0 ? '' : `${this.#round} `}${this.name} ${what}`;
  }

  async resolve(tagOrDigest: string, options: ManifestOptions = {}): Promise<Descriptor> {
    const ask = (): Promise<Descriptor> => this.#inner.resolve(tagOrDigest, options);
    if (options.mediaTypes) return this.memory.pass(ask);
    const fetched = this.memory.known(this.question('manifest', tagOrDigest))?.descriptor;
    if (fetched !== undefined) return fetched;
    const answer = await this.memory.recall(this.question('resolve', tagOrDigest), () =>
      orMissing(async () => ({ descriptor: await ask() })),
    );
    return orThrow(answer).descriptor ?? this.memory.pass(ask);
  }

  async fetchManifest(target: string | Descriptor, options: ManifestOptions = {}): Promise<FetchedManifest> {
    const ask = (): Promise<FetchedManifest> => this.#inner.fetchManifest(target, options);
    const digest = typeof target === 'string' ? target : target.digest;
    if (options.mediaTypes || !isDigest(digest)) return this.memory.pass(ask);
    const answer = await this.memory.recall(this.question('manifest', digest), () => orMissing(ask));
    const { descriptor, bytes } = orThrow(answer);
    // For a descriptor with another size, the source decides.
    const isAsked = typeof target === 'string' || target.size === descriptor?.size;
    return descriptor && bytes && isAsked ? { descriptor, bytes } : this.memory.pass(ask);
  }

  async openBlob(descriptor: Descriptor, options: BlobOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const ask = (more?: BlobOptions): Promise<AsyncIterable<Uint8Array>> =>
      this.#inner.openBlob(descriptor, { ...options, ...more });
    const isSmall = descriptor.size <= REMEMBERED_BLOB_BYTES;
    if (!isSmall || (options.offset ?? 0) !== 0) return ask();
    const { bytes } = await this.memory.recall(this.question('blob', descriptor.digest), async () => {
      return { bytes: await buffer(await ask({ freesChunks: false })) };
    });
    return bytes ? once(bytes) : ask();
  }

  async hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    const { yes = false } = await this.memory.recall(this.question('has-blob', descriptor.digest), async () => ({
      yes: await this.#inner.hasBlob(descriptor, options),
    }));
    return yes;
  }

  /**
   * Asks for the complete list once, which also answers requests for one type. Looks up missing artifact types here,
   * because the walk that follows needs these manifests anyway.
   */
  async listReferrers(digest: Digest, options: ReferrersOptions = {}): Promise<Descriptor[]> {
    const { artifactType, artifactTypes = true, ...whole } = options;
    const isKnown = this.memory.known(this.question('referrers', digest)) !== undefined;
    const kind = whole.tagSchema === 'later' && !isKnown ? 'own-referrers' : 'referrers';
    const { referrers = [] } = await this.memory.recall(this.question(kind, digest), async () => ({
      referrers: await this.#inner.listReferrers(digest, { ...whole, artifactTypes: false }),
    }));
    const isWanted = (entry: Descriptor): boolean => artifactType === undefined || entry.artifactType === artifactType;
    if (!artifactTypes) return referrers.filter((entry) => entry.artifactType === undefined || isWanted(entry));
    const fetch = (entry: Descriptor): Promise<FetchedManifest> => this.fetchManifest(entry, whole);
    return (await withArtifactTypes(this.name, referrers, fetch)).filter(isWanted);
  }

  async *listTags(options: CallOptions & { last?: string } = {}): AsyncGenerator<string> {
    const most = DIGEST_TAG_SCAN;
    const { tags = [] } = await this.memory.recall(this.question('tags', options.last ?? ''), async () => {
      const read: string[] = [];
      for await (const tag of this.#inner.listTags(options)) {
        read.push(tag);
        if (read.length > most) break;
      }
      return { tags: read };
    });
    if (tags.length <= most) yield* tags;
    else yield* this.#inner.listTags(options);
  }
}

class RememberedRepository extends RememberedReads implements Repository {
  readonly isLocal: boolean;
  readonly #inner: Repository;
  /** How often each manifest was pushed. A second push is another request. */
  readonly #pushes = new Map<string, number>();

  constructor(inner: Repository, memory: Memory, round: number) {
    super(inner, memory, round);
    this.#inner = inner;
    this.isLocal = inner.isLocal ?? false;
  }

  async pushBlob(
    descriptor: Descriptor,
    open: OpenBody,
    options?: Parameters<Repository['pushBlob']>[2],
  ): Promise<void> {
    let isMoved = false;
    const openOnce: OpenBody = () => {
      isMoved = true;
      return open();
    };
    const { yes = false } = await this.memory.recall(this.question('push-blob', descriptor.digest), async () => {
      await this.#inner.pushBlob(descriptor, openOnce, options);
      return { yes: isMoved };
    });
    if (yes && !isMoved) options?.onMovedBefore?.();
  }

  async mountBlob(descriptor: Descriptor, fromRepository: string, options?: CallOptions): Promise<boolean> {
    const { yes = false } = await this.memory.recall(
      this.question('mount-blob', `${fromRepository} ${descriptor.digest}`),
      async () => ({ yes: await this.#inner.mountBlob(descriptor, fromRepository, options) }),
    );
    return yes;
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options: Parameters<Repository['pushManifest']>[2] = {},
  ): Promise<Descriptor> {
    const push = (): Promise<Descriptor> => this.#inner.pushManifest(bytes, mediaType, options);
    const { digest = digestOf(bytes), tag } = options;
    const what = `${tag ?? ''} ${digest}`;
    const times = (this.#pushes.get(what) ?? 0) + 1;
    this.#pushes.set(what, times);
    const { descriptor } = await this.memory.recall(
      this.question('push', times === 1 ? what : `${times} ${what}`),
      async () => ({ descriptor: await push() }),
    );
    options.onPut?.();
    return descriptor ?? push();
  }

  deleteManifest(digest: Digest, options?: CallOptions): Promise<void> {
    return this.memory.pass(() => this.#inner.deleteManifest(digest, options));
  }
}
