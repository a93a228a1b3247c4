import type { Descriptor } from '../descriptor.js';
import { digestOf, isDigest, type Digest } from '../digest.js';
import { RegistryError, type RegistryErrorInfo } from '../errors.js';
import { withArtifactTypes } from '../registry/artifact-types.js';
import type {
  CallOptions,
  FetchedManifest,
  ManifestOptions,
  OpenBody,
  ReadableRepository,
  ReferrersOptions,
  Repository,
} from '../store.js';
import { PLAN_BYTES } from './plan.js';
import { DIGEST_TAG_SCAN } from './digest-tags.js';

/** The largest blob that is remembered where reads are: a signature's envelope. */
const REMEMBERED_BLOB_BYTES = 64 * 1024;

/** What a repository answered to one question, or that it did something. JSON, but for the bytes. */
export interface Answer {
  descriptor?: Descriptor | undefined;
  /** Of a manifest, beside its descriptor, or of a blob. */
  bytes?: Uint8Array | undefined;
  referrers?: Descriptor[] | undefined;
  tags?: string[] | undefined;
  yes?: boolean | undefined;
  /** When something came first, in milliseconds since 1970. */
  at?: number | undefined;
  /** It isn't there: as much of the error as makes another. */
  missing?: { code: string; message: string; info: RegistryErrorInfo; remedy?: string | undefined } | undefined;
}

/** Keeps what repositories answer. */
export interface Memory {
  /** What was answered before. */
  known(question: string): Answer | undefined;
  /** What was answered before; otherwise what `ask` brings, which is kept. */
  recall(question: string, ask: () => Promise<Answer>): Promise<Answer>;
  /** Asks for what is not kept. */
  pass<T>(work: () => Promise<T>): Promise<T>;
}

/** Answers of one process, for as long as it needs them: PLAN_BYTES of manifests and blobs at most. */
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
 * A source whose answers are kept for a second pass over the same graph, so that a comparison that finds something lacking is
 * not followed by a plan that asks for everything again. What changes at the source meanwhile goes unseen.
 */
export function rememberReads(source: ReadableRepository, memory: Memory = new OwnMemory()): ReadableRepository {
  return new RememberedReads(source, memory, 0);
}

/**
 * The same for a repository that is written to as well: what was done is not done again, and what was asked before is answered as
 * it was. What is asked afterwards is asked in another `round`.
 */
export function rememberRepository(repository: Repository, memory: Memory, round = 0): Repository {
  return new RememberedRepository(repository, memory, round);
}

/** Keeps that something isn't there, too. */
async function orMissing(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    const { code, message, info, remedy } = error;
    return { missing: { code, message, info, remedy } };
  }
}

/** @throws RegistryError as it was thrown when it was asked for */
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

  /** How a question is called that is asked of this repository. */
  protected question(kind: string, what: string): string {
    return `${kind} ${this.#round === 0 ? '' : `${this.#round} `}${this.name} ${what}`;
  }

  async resolve(tagOrDigest: string, options: ManifestOptions = {}): Promise<Descriptor> {
    const ask = (): Promise<Descriptor> => this.#inner.resolve(tagOrDigest, options);
    if (options.mediaTypes) return this.memory.pass(ask);
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
    // Another size for the same digest is the source's to judge.
    const isAsked = typeof target === 'string' || target.size === descriptor?.size;
    return descriptor && bytes && isAsked ? { descriptor, bytes } : this.memory.pass(ask);
  }

  async openBlob(
    descriptor: Descriptor,
    options: CallOptions & { offset?: number } = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const ask = (): Promise<AsyncIterable<Uint8Array>> => this.#inner.openBlob(descriptor, options);
    const isSmall = descriptor.size <= REMEMBERED_BLOB_BYTES;
    if (!isSmall || (options.offset ?? 0) !== 0) return ask();
    const { bytes } = await this.memory.recall(this.question('blob', descriptor.digest), async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await ask()) chunks.push(chunk);
      return { bytes: Buffer.concat(chunks) };
    });
    return bytes ? once(bytes) : ask();
  }

  async hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    const { yes = false } = await this.memory.recall(this.question('has-blob', descriptor.digest), async () => ({
      yes: await this.#inner.hasBlob(descriptor, options),
    }));
    return yes;
  }

  /** Types that the list lacks are looked up one by one here: the walk that follows has those manifests then. */
  async listReferrers(digest: Digest, options: ReferrersOptions = {}): Promise<Descriptor[]> {
    const { artifactType, artifactTypes = true, signal } = options;
    // A whole list has those of one type, and those that the registry itself lists.
    const whole = this.memory.known(this.question('referrers', `${digest} `))?.referrers;
    const kind = options.tagSchema === 'later' && whole === undefined ? 'own-referrers' : 'referrers';
    if (artifactType !== undefined && whole?.every((entry) => entry.artifactType !== undefined) === true) {
      return whole.filter((entry) => entry.artifactType === artifactType);
    }
    const { referrers = [] } = await this.memory.recall(
      this.question(kind, `${digest} ${artifactType ?? ''}`),
      async () => ({ referrers: await this.#inner.listReferrers(digest, { ...options, artifactTypes: false }) }),
    );
    if (!artifactTypes && artifactType === undefined) return [...referrers];
    const typed = await withArtifactTypes(this.name, referrers, (entry) =>
      this.fetchManifest(entry, signal ? { signal } : {}),
    );
    return artifactType === undefined ? typed : typed.filter((entry) => entry.artifactType === artifactType);
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

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

class RememberedRepository extends RememberedReads implements Repository {
  readonly isLocal: boolean;
  readonly #inner: Repository;
  /** How often each manifest was put: once more is another question. */
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
