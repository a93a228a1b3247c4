import { InputError, isDigest, type Descriptor, type ImageIndex, type Repository, quoted } from '../oci/index.js';
import { describeEntry, fetchIndex } from './index-entry.js';
import { checkTags, withoutOwnName } from './own-name.js';
import { checkMediaType, writeIndex, type WriteIndexOptions, type WrittenIndex } from './write-index.js';

export interface UpdateIndexOptions extends WriteIndexOptions {
  /** Tags or digests of manifests to append. */
  add?: readonly string[];
  /** Indexes whose manifests are appended, after the added ones. */
  merge?: readonly string[];
  /** Digests of entries to remove, before anything is appended. */
  remove?: readonly string[];
  /** An empty text removes it. Default: unchanged. */
  artifactType?: string;
}

/** @throws InputError `DIGEST_INVALID`, `MEDIA_TYPE_INVALID`, `REFERENCE_INVALID` */
function check(
  repository: Repository,
  { remove = [], artifactType = '', tags = [], extraTags = [] }: UpdateIndexOptions,
): void {
  for (const text of remove) {
    if (isDigest(text)) continue;
    throw new InputError('DIGEST_INVALID', `remove: ${quoted(text)} is not a digest`, {
      remedy: 'Write the digest of the manifest to remove as sha256:<64 hex digits>.',
    });
  }
  if (artifactType !== '') checkMediaType(artifactType);
  checkTags(repository, [...tags, ...extraTags]);
}

function withoutRemoved(index: ImageIndex, tagOrDigest: string, options: UpdateIndexOptions): Descriptor[] {
  let { manifests } = index;
  for (const digest of new Set(options.remove)) {
    const kept = manifests.filter((entry) => entry.digest !== digest);
    if (kept.length === manifests.length) {
      throw new InputError('INDEX_ENTRY_UNKNOWN', `${digest} does not exist in the index ${tagOrDigest}`, {
        remedy: 'List its manifests with manifest fetch.',
      });
    }
    manifests = kept;
    if (isDigest(digest)) options.onProgress?.({ state: 'removed', digest });
  }
  return manifests;
}

/**
 * Removes manifests from an index, adds others, and pushes the new index. The old index stays under its digest. Annotations, subject and
 * media type are kept.
 * @throws InputError `NOT_AN_INDEX`, `INDEX_ENTRY_UNKNOWN`, `DIGEST_INVALID`, `MEDIA_TYPE_INVALID`, `REFERENCE_INVALID`; what the store throws
 */
export async function updateIndex(
  repository: Repository,
  tagOrDigest: string,
  options: UpdateIndexOptions = {},
): Promise<WrittenIndex> {
  check(repository, options);
  const { signal, onProgress } = options;
  const call = { signal };
  const fetch = async (reference: string): Promise<{ descriptor: Descriptor; index: ImageIndex }> => {
    onProgress?.({ state: 'fetching', reference });
    const fetched = await fetchIndex(repository, withoutOwnName(repository, reference), call);
    onProgress?.({ state: 'fetched', reference, digest: fetched.descriptor.digest });
    return fetched;
  };
  const { index } = await fetch(tagOrDigest);
  const manifests = [...withoutRemoved(index, tagOrDigest, options)];
  for (const reference of options.add ?? []) {
    onProgress?.({ state: 'fetching', reference });
    const entry = await describeEntry(repository, withoutOwnName(repository, reference), call);
    onProgress?.({ state: 'fetched', reference, digest: entry.digest });
    manifests.push(entry);
    onProgress?.({ state: 'added', reference, digest: entry.digest });
  }
  for (const reference of options.merge ?? []) {
    const merged = await fetch(reference);
    manifests.push(...merged.index.manifests);
    onProgress?.({ state: 'merged', reference, digest: merged.descriptor.digest });
  }
  const { artifactType: before, ...rest } = index;
  const artifactType = options.artifactType ?? before ?? '';
  return writeIndex(repository, { ...rest, manifests, ...(artifactType !== '' && { artifactType }) }, options);
}
