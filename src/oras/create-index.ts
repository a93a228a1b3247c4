import { OCI_IMAGE_INDEX, type Descriptor, type Digest, type Repository } from '../oci/index.js';
import { describeEntry } from './index-entry.js';
import { checkTags, withoutOwnName } from './own-name.js';
import { checkMediaType, writeIndex, type WriteIndexOptions, type WrittenIndex } from './write-index.js';

export interface CreateIndexOptions extends WriteIndexOptions {
  artifactType?: string | undefined;
  annotations?: Record<string, string>;
  /** The digest that the index must have. */
  digest?: Digest | undefined;
}

/**
 * Makes an index of manifests (tags or digests) of one repository, in their order, and pushes it.
 * @throws InputError `MEDIA_TYPE_INVALID`, `REFERENCE_INVALID`, `DIGEST_MISMATCH`; what the store throws
 */
export async function createIndex(
  repository: Repository,
  sources: readonly string[],
  options: CreateIndexOptions = {},
): Promise<WrittenIndex> {
  const { artifactType, annotations, onProgress, signal, tags = [], extraTags = [] } = options;
  if (artifactType !== undefined && artifactType !== '') checkMediaType(artifactType);
  checkTags(repository, [...tags, ...extraTags]);
  const manifests: Descriptor[] = [];
  for (const reference of sources) {
    onProgress?.({ state: 'fetching', reference });
    const entry = await describeEntry(repository, withoutOwnName(repository, reference), { signal });
    onProgress?.({ state: 'fetched', reference, digest: entry.digest });
    manifests.push(entry);
  }
  const index = {
    mediaType: OCI_IMAGE_INDEX,
    manifests,
    ...(artifactType !== undefined && artifactType !== '' && { artifactType }),
    ...(annotations && { annotations }),
  };
  return writeIndex(repository, index, options);
}
