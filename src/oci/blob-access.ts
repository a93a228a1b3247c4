import type { Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';
import type { CallOptions, Repository } from './store.js';

/** A repository in which single blobs can be named by their digest alone, and deleted. Layouts and registries are such. */
export interface BlobRepository extends Repository {
  /**
   * A blob's descriptor; its media type is `application/octet-stream`, since stores keep none.
   * @throws RegistryError `BLOB_UNKNOWN`, with `notFound`
   */
  resolveBlob(digest: Digest, options?: CallOptions): Promise<Descriptor>;
  /** @throws RegistryError `BLOB_UNKNOWN`, with `notFound` */
  deleteBlob(descriptor: Descriptor, options?: CallOptions): Promise<void>;
}

/** What a blob is called of which only the bytes are known. */
export const OCTET_STREAM = 'application/octet-stream';
