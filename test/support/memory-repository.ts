import {
  artifactTypeOf,
  childrenOf,
  digestAlgorithm,
  digestOf,
  isManifestMediaType,
  parseManifest,
  RegistryError,
  IntegrityError,
  type CallOptions,
  type ChangedManifest,
  type ChangedTag,
  type Descriptor,
  type Digest,
  type FetchedManifest,
  type Manifest,
  type OpenBody,
  type ReferrersOptions,
  type Registries,
  type Repository,
} from 'acr-promoter/oci';

export type MemoryMethod = Exclude<keyof Repository, 'name'>;

export interface MemoryCall {
  method: MemoryMethod;
  /** Digest, tag or media type that was asked for. */
  what: string;
}

export interface Stored {
  descriptor: Descriptor;
  bytes: Uint8Array;
  manifest: Manifest;
}

/** What reads are answered from. A replica that is late has its own. */
export interface Shown {
  readonly tags: ReadonlyMap<string, Digest>;
  /** Tags as lists of them have them. */
  readonly listed: ReadonlyMap<string, Digest>;
  readonly manifests: ReadonlyMap<string, Stored>;
  /** Manifests that lists of referrers know of. */
  readonly referrers: ReadonlyMap<string, Stored>;
}

function answer(status: number, code: string, what: string): RegistryError {
  return new RegistryError(`${what}: ${code}`, {
    method: 'GET',
    url: `memory://${what}`,
    status,
    registryCodes: [code],
  });
}

/** A map that knows when what it holds was written last. */
class Timed<V> extends Map<string, V> {
  readonly #times = new Map<string, number>();
  readonly #now: () => number;
  readonly #keyOf: (key: string, value: V) => string;

  constructor(now: () => number, keyOf: (key: string, value: V) => string) {
    super();
    this.#now = now;
    this.#keyOf = keyOf;
  }

  override set(key: string, value: V): this {
    this.#times.set(this.#keyOf(key, value), this.#now());
    return super.set(key, value);
  }

  /** Also of what it held once, as a late replica may show. */
  timeOf(key: string, value: V): number {
    return this.#times.get(this.#keyOf(key, value)) ?? 0;
  }
}

/** A repository without any I/O, which counts what it is asked and fails when it is told to. */
export class MemoryRepository implements Repository {
  readonly name: string;
  readonly blobs = new Map<string, Uint8Array>();
  /** The registry's clock, epoch milliseconds. */
  now: () => number = Date.now;
  readonly manifests = new Timed<Stored>(
    () => this.now(),
    (digest) => digest,
  );
  readonly tags = new Timed<Digest>(
    () => this.now(),
    (tag, digest) => `${tag} ${digest}`,
  );
  readonly calls: MemoryCall[] = [];
  /** Digests that the referrers list keeps back however often they are pushed. */
  readonly unlisted = new Set<string>();
  /** As many of the next pushes of a referrer are stored and not listed. */
  loseReferrers = 0;
  /** A manifest whose blobs or children are missing is taken all the same. */
  sparse = false;
  /** Tags that may not be written: 405, as in ACR; `*`: the repository, of which only the listing tells. */
  readonly locked = new Set<string>();
  /** Called before anything is done; what it throws is the answer. `count` is 1 at the first call of the method. */
  fault: ((call: MemoryCall, count: number) => void | Promise<void>) | undefined;
  /** What a read of a tag is answered where a replica is late, given what stands there; nothing: it isn't there. */
  shows: ((tag: string, standing: Digest | undefined) => Digest | undefined) | undefined;
  /** Answers a read from what is there, or from what a late replica shows. */
  replica: <T>(there: Shown, read: (shown: Shown) => T[]) => T[] = (there, read) => read(there);
  readonly #lost = new Set<string>();
  readonly #registry: Map<string, MemoryRepository>;

  constructor(name = 'memory/repository', registry: Map<string, MemoryRepository> = new Map()) {
    this.name = name;
    this.#registry = registry;
  }

  /** Fails the `nth` call (1 is the next) of a method. */
  failNth(method: MemoryMethod, nth: number, error: Error): void {
    const wanted = this.count(method) + nth;
    this.fault = (call, count) => {
      if (call.method === method && count === wanted) throw error;
    };
  }

  count(method: MemoryMethod): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  async #enter(method: MemoryMethod, what: string, options?: CallOptions): Promise<void> {
    const call = { method, what };
    this.calls.push(call);
    const count = this.count(method);
    // Gives others their turn, as a network would.
    await new Promise((resolve) => setImmediate(resolve));
    options?.signal?.throwIfAborted();
    await this.fault?.(call, count);
  }

  get #there(): Shown {
    return { tags: this.tags, listed: this.tags, manifests: this.manifests, referrers: this.manifests };
  }

  #find(target: string): Stored {
    const [stored] = this.replica(this.#there, ({ tags, manifests }) => {
      const digest = this.shows === undefined ? tags.get(target) : this.shows(target, tags.get(target));
      const found = manifests.get(digest ?? target);
      return found === undefined ? [] : [found];
    });
    if (!stored) throw answer(404, 'MANIFEST_UNKNOWN', `${this.name}@${target}`);
    return stored;
  }

  /** Tags with their digests, as lists of them have them. */
  listedTags(): [name: string, digest: Digest][] {
    return this.replica(this.#there, ({ listed }) => [...listed].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Tags as the list of the newest has them. */
  newestTags(): ChangedTag[] {
    return newestFirst(
      this.listedTags().map(([name, digest]) => ({
        name,
        digest,
        updatedAt: timeText(this.tags.timeOf(name, digest)),
      })),
    );
  }

  /** Manifests as the list of the newest has them. */
  newestManifests(): ChangedManifest[] {
    const manifests = this.replica(this.#there, ({ referrers }) => [...referrers.values()]);
    const tags = this.listedTags();
    return newestFirst(
      manifests.map((stored) => ({
        digest: stored.descriptor.digest,
        updatedAt: timeText(this.manifests.timeOf(stored.descriptor.digest, stored)),
        tags: tags.flatMap(([name, digest]) => (digest === stored.descriptor.digest ? [name] : [])),
      })),
    );
  }

  async resolve(target: string, options?: CallOptions): Promise<Descriptor> {
    await this.#enter('resolve', target, options);
    return this.#find(target).descriptor;
  }

  async fetchManifest(target: string | Descriptor, options?: CallOptions): Promise<FetchedManifest> {
    const what = typeof target === 'string' ? target : target.digest;
    await this.#enter('fetchManifest', what, options);
    const { descriptor, bytes } = this.#find(what);
    return { descriptor, bytes };
  }

  async openBlob(
    descriptor: Descriptor,
    options?: CallOptions & { offset?: number },
  ): Promise<AsyncIterable<Uint8Array>> {
    await this.#enter('openBlob', descriptor.digest, options);
    const bytes = this.blobs.get(descriptor.digest);
    if (!bytes) throw answer(404, 'BLOB_UNKNOWN', `${this.name}@${descriptor.digest}`);
    const rest = bytes.subarray(options?.offset ?? 0);
    return (async function* () {
      for (let at = 0; at < rest.length; at += 65_536) yield rest.subarray(at, at + 65_536);
    })();
  }

  async hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    await this.#enter('hasBlob', descriptor.digest, options);
    return this.blobs.has(descriptor.digest);
  }

  async listReferrers(digest: Digest, options?: ReferrersOptions): Promise<Descriptor[]> {
    await this.#enter('listReferrers', digest, options);
    const found: Descriptor[] = [];
    const referring = this.replica(this.#there, ({ referrers }) =>
      [...referrers.values()].filter(({ manifest }) => manifest.subject?.digest === digest),
    );
    for (const { descriptor, manifest } of referring) {
      if (this.#lost.has(descriptor.digest) || this.unlisted.has(descriptor.digest)) continue;
      const artifactType = artifactTypeOf(manifest);
      if (options?.artifactType !== undefined && options.artifactType !== artifactType) continue;
      found.push({
        ...descriptor,
        ...(artifactType !== undefined && { artifactType }),
        ...(manifest.annotations && { annotations: manifest.annotations }),
      });
    }
    return found;
  }

  async *listTags(options?: CallOptions & { last?: string }): AsyncGenerator<string> {
    await this.#enter('listTags', options?.last ?? '', options);
    for (const [tag] of this.listedTags()) if (tag > (options?.last ?? '')) yield tag;
  }

  async pushBlob(
    descriptor: Descriptor,
    open: OpenBody,
    options?: CallOptions & { onBytes?: (count: number) => void },
  ): Promise<void> {
    await this.#enter('pushBlob', descriptor.digest, options);
    if (this.blobs.has(descriptor.digest)) return;
    const chunks: Uint8Array[] = [];
    for await (const chunk of await open()) {
      chunks.push(chunk);
      options?.onBytes?.(chunk.length);
    }
    const bytes = Buffer.concat(chunks);
    if (digestOf(bytes, digestAlgorithm(descriptor.digest)) !== descriptor.digest)
      throw new IntegrityError('DIGEST_MISMATCH', descriptor.digest);
    this.blobs.set(descriptor.digest, bytes);
  }

  async mountBlob(descriptor: Descriptor, fromRepository: string, options?: CallOptions): Promise<boolean> {
    await this.#enter('mountBlob', `${fromRepository}@${descriptor.digest}`, options);
    const bytes = this.#registry.get(fromRepository)?.blobs.get(descriptor.digest);
    if (bytes) this.blobs.set(descriptor.digest, bytes);
    return bytes !== undefined;
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options?: CallOptions & { tag?: string; digest?: Digest },
  ): Promise<Descriptor> {
    const digest = digestOf(bytes, options?.digest && digestAlgorithm(options.digest));
    await this.#enter('pushManifest', digest, options);
    if (options?.tag !== undefined && this.locked.has(options.tag)) {
      const [registry = '', ...path] = this.name.split('/');
      throw new RegistryError(`${this.name}:${options.tag} is locked`, {
        method: 'PUT',
        url: `https://${registry}/v2/${path.join('/')}/manifests/${options.tag}`,
        status: 405,
        registryCodes: ['REGISTRY_DISALLOWED_OPERATION'],
      });
    }
    const manifest = parseManifest(bytes, mediaType, `${this.name}@${digest}`);
    if (!this.sparse) {
      for (const child of childrenOf(manifest)) {
        if (child.urls && child.urls.length > 0) continue;
        const known = isManifestMediaType(child.mediaType)
          ? this.manifests.has(child.digest)
          : this.blobs.has(child.digest);
        if (!known) throw answer(404, 'MANIFEST_BLOB_UNKNOWN', `${this.name}@${digest} lacks ${child.digest}`);
      }
    }
    const descriptor: Descriptor = { mediaType: manifest.mediaType, digest, size: bytes.length };
    if (manifest.subject) {
      if (this.loseReferrers > 0) {
        this.loseReferrers -= 1;
        this.#lost.add(digest);
      } else this.#lost.delete(digest);
    }
    this.manifests.set(digest, { descriptor, bytes, manifest });
    if (options?.tag !== undefined) this.tags.set(options.tag, digest);
    return descriptor;
  }

  async deleteManifest(digest: Digest, options?: CallOptions): Promise<void> {
    await this.#enter('deleteManifest', digest, options);
    if (!this.manifests.delete(digest)) throw answer(404, 'MANIFEST_UNKNOWN', `${this.name}@${digest}`);
    for (const [tag, target] of this.tags) if (target === digest) this.tags.delete(tag);
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function newestFirst<T extends { updatedAt: string }>(entries: T[]): T[] {
  return entries.sort((a, b) => Date.parse(b.updatedAt) - Date.parse(a.updatedAt));
}

/** Registries that exist as soon as they are named. Blobs can be mounted within one registry. */
export class MemoryRegistries implements Registries {
  readonly #registries = new Map<string, Map<string, MemoryRepository>>();

  repository(registry: string, repository: string): MemoryRepository {
    const repositories = this.#registries.get(registry) ?? new Map<string, MemoryRepository>();
    this.#registries.set(registry, repositories);
    const found = repositories.get(repository) ?? new MemoryRepository(`${registry}/${repository}`, repositories);
    repositories.set(repository, found);
    return found;
  }
}
