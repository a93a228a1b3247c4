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

  constructor(registries: Registries) {
    this.#registries = registries;
  }

  repository(registry: string, repository: string): ReadableRepository {
    const count = (): void => void this.#calls.set(registry, this.calls(registry) + 1);
    return new CountedRepository(this.#registries.repository(registry, repository), count);
  }

  calls(registry: string): number {
    return this.#calls.get(registry) ?? 0;
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

  resolve(tagOrDigest: string, options?: CallOptions): Promise<Descriptor> {
    this.#count();
    return this.#inner.resolve(tagOrDigest, options);
  }

  fetchManifest(target: string | Descriptor, options?: CallOptions): Promise<FetchedManifest> {
    this.#count();
    return this.#inner.fetchManifest(target, options);
  }

  openBlob(descriptor: Descriptor, options?: CallOptions & { offset?: number }): Promise<AsyncIterable<Uint8Array>> {
    this.#count();
    return this.#inner.openBlob(descriptor, options);
  }

  hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    this.#count();
    return this.#inner.hasBlob(descriptor, options);
  }

  listReferrers(digest: Digest, options?: ReferrersOptions): Promise<Descriptor[]> {
    this.#count();
    return this.#inner.listReferrers(digest, options);
  }

  listTags(options?: CallOptions & { last?: string }): AsyncIterable<string> {
    this.#count();
    return this.#inner.listTags(options);
  }
}
