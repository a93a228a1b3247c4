import { mapConcurrently, type CallOptions, type Digest, type ReadableRepository } from '../oci/index.js';
import { LISTS_AT_ONCE } from './discover.js';

/** Tags that name a digest: of the referrers tag schema, and of cosign. */
const DIGEST_LIKE = /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})(?:\.[a-z]+)?$/;

export interface TagsOptions extends CallOptions {
  /** Only tags after this one in byte order. */
  last?: string;
  /** Leaves out `sha256-…`. Default: false. */
  excludeDigestTags?: boolean;
  /** Only tags of this digest. Each tag is resolved. */
  digest?: Digest | undefined;
}

/** Lists the tags of a repository, in its order. */
export async function listTags(repository: ReadableRepository, options: TagsOptions = {}): Promise<string[]> {
  const { last, signal, digest } = options;
  const call = { signal };
  const tags: string[] = [];
  for await (const tag of repository.listTags({ ...call, ...(last !== undefined && { last }) })) {
    if (options.excludeDigestTags === true && DIGEST_LIKE.test(tag)) continue;
    tags.push(tag);
  }
  if (digest === undefined) return tags;
  const named = await mapConcurrently(tags, LISTS_AT_ONCE, (tag) => repository.resolve(tag, call));
  return tags.filter((_, index) => named[index]?.digest === digest);
}
