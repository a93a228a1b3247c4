import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import type { CallOptions, FetchedManifest, ReadableRepository, ReferrersOptions } from '../store.js';
import { COPY_LIMITS } from './limits.js';

/**
 * A source whose answers are kept for a second pass over the same graph, so that a comparison that finds something lacking is
 * not followed by a plan that asks for everything again. For one copy only: what changes at the source meanwhile goes unseen.
 */
export function rememberReads(source: ReadableRepository): ReadableRepository {
  return new RememberedReads(source);
}

class RememberedReads implements ReadableRepository {
  readonly name: string;
  readonly #source: ReadableRepository;
  readonly #manifests = new Map<Digest, FetchedManifest>();
  readonly #referrers = new Map<string, Descriptor[]>();
  readonly #resolved = new Map<string, Descriptor>();
  readonly #tags = new Map<string, string[]>();
  #bytes = 0;

  constructor(source: ReadableRepository) {
    this.name = source.name;
    this.#source = source;
  }

  async resolve(tagOrDigest: string, options?: CallOptions): Promise<Descriptor> {
    const found = this.#resolved.get(tagOrDigest) ?? (await this.#source.resolve(tagOrDigest, options));
    this.#resolved.set(tagOrDigest, found);
    return found;
  }

  async fetchManifest(target: string | Descriptor, options?: CallOptions): Promise<FetchedManifest> {
    const kept = typeof target === 'string' ? undefined : this.#manifests.get(target.digest);
    // Another size or type for the same digest is the source's to judge.
    if (kept && typeof target !== 'string' && target.size === kept.descriptor.size) return kept;
    const fetched = await this.#source.fetchManifest(target, options);
    if (this.#bytes + fetched.bytes.length <= COPY_LIMITS.planBytes) {
      this.#bytes += fetched.bytes.length;
      this.#manifests.set(fetched.descriptor.digest, fetched);
    }
    return fetched;
  }

  async listReferrers(digest: Digest, options?: ReferrersOptions): Promise<Descriptor[]> {
    const key = `${digest} ${options?.artifactType ?? ''}`;
    const listed = this.#referrers.get(key) ?? (await this.#source.listReferrers(digest, options));
    this.#referrers.set(key, listed);
    return listed;
  }

  async *listTags(options: CallOptions & { last?: string } = {}): AsyncGenerator<string> {
    const key = options.last ?? '';
    const kept = this.#tags.get(key);
    if (kept) {
      yield* kept;
      return;
    }
    const seen: string[] = [];
    for await (const tag of this.#source.listTags(options)) {
      if (seen.length <= COPY_LIMITS.digestTagScan) seen.push(tag);
      yield tag;
    }
    // Only a list that was read to its end is known.
    if (seen.length <= COPY_LIMITS.digestTagScan) this.#tags.set(key, seen);
  }

  openBlob(descriptor: Descriptor, options?: CallOptions & { offset?: number }): Promise<AsyncIterable<Uint8Array>> {
    return this.#source.openBlob(descriptor, options);
  }

  hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    return this.#source.hasBlob(descriptor, options);
  }
}
