import type { Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';
import type { CallOptions, Repository } from './store.js';

/** A repository, in a registry or a layout, whose blobs can also be looked up by digest and deleted. */
export interface BlobRepository extends Repository {
  /**
   * The descriptor of a blob. Its media type is always `application/octet-stream`, because stores do not keep one.
   * @throws RegistryError `BLOB_UNKNOWN`, with `notFound`
   */
  resolveBlob(digest: Digest, options?: CallOptions): Promise<Descriptor>;
  /** @throws RegistryError `BLOB_UNKNOWN`, with `notFound` */
  deleteBlob(descriptor: Descriptor, options?: CallOptions): Promise<void>;
}

/** Media type of a blob of which only the bytes are known. */
export const OCTET_STREAM = 'application/octet-stream';
