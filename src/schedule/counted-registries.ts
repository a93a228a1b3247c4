import type {
  CallOptions,
  Descriptor,
  Digest,
  FetchedManifest,
  ReadableRepository,
  ReferrersOptions,
  Registries,
} from '../oci/index.js';

/** Repositories that are read, with a count of the calls to each registry: about one request each. */
export class CountedRegistries {
  readonly #registries: Registries;
  readonly #calls = new Map<string, number>();
  #bound: { most: ReadonlyMap<string, number>; spent: AbortController } | undefined;

  constructor(registries: Registries) {
    this.#registries = registries;
  }

  repository(registry: string, repository: string): ReadableRepository {
    const count = (): void => this.count(registry, 1);
    return new CountedRepository(this.#registries.repository(registry, repository), count);
  }

  /** Counts calls that somebody is about to make by himself. @throws where {@link within} allows no more */
  count(registry: string, calls: number): void {
    const next = this.calls(registry) + calls;
    const { most, spent } = this.#bound ?? {};
    if (next > (most?.get(registry) ?? Infinity)) spent?.abort();
    spent?.signal.throwIfAborted();
    this.#calls.set(registry, next);
  }

  calls(registry: string): number {
    return this.#calls.get(registry) ?? 0;
  }

  /** Of all registries together. */
  total(): number {
    return [...this.#calls.values()].reduce((sum, calls) => sum + calls, 0);
  }

  /**
   * Does what may ask each registry so often and no more: then its signal is aborted, and nothing more is asked.
   * @returns whether it was too much, instead of what it came to
   */
  async within<T>(
    most: ReadonlyMap<string, number>,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ done: T } | 'too much'> {
    const spent = new AbortController();
    this.#bound = { most: new Map([...most].map(([name, calls]) => [name, this.calls(name) + calls])), spent };
    try {
      return { done: await work(spent.signal) };
    } catch (error) {
      if (!spent.signal.aborted) throw error;
      return 'too much';
    } finally {
      this.#bound = undefined;
    }
  }
}

class CountedRepository implements ReadableRepository {
  readonly name: string;
  readonly #inner: ReadableRepository;
  readonly #count: () => void;

  constructor(inner: ReadableRepository, count: () => void) {
    this.name = inner.name;
    this.#inner = inner;
    this.#count = count;
  }

  async resolve(tagOrDigest: string, options?: CallOptions): Promise<Descriptor> {
    this.#count();
    return this.#inner.resolve(tagOrDigest, options);
  }

  async fetchManifest(target: string | Descriptor, options?: CallOptions): Promise<FetchedManifest> {
    this.#count();
    return this.#inner.fetchManifest(target, options);
  }

  async openBlob(
    descriptor: Descriptor,
    options?: CallOptions & { offset?: number },
  ): Promise<AsyncIterable<Uint8Array>> {
    this.#count();
    return this.#inner.openBlob(descriptor, options);
  }

  async hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    this.#count();
    return this.#inner.hasBlob(descriptor, options);
  }

  async listReferrers(digest: Digest, options?: ReferrersOptions): Promise<Descriptor[]> {
    this.#count();
    return this.#inner.listReferrers(digest, options);
  }

  async *listTags(options?: CallOptions & { last?: string }): AsyncIterable<string> {
    this.#count();
    yield* this.#inner.listTags(options);
  }
}
