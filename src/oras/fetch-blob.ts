import { parseDigest, type BlobRepository, type CallOptions, type Descriptor } from '../oci/index.js';
import { countMoving, type Moving } from './moving.js';

/** A blob that exists. */
export interface FetchedBlob {
  /** The media type is always `application/octet-stream`, because stores do not keep the media types of blobs. */
  descriptor: Descriptor;
  /** Its bytes. The last piece is yielded only if the digest is right. */
  open: () => Promise<AsyncIterable<Uint8Array>>;
}

/** Finds a blob by its digest. @throws InputError `DIGEST_INVALID`; RegistryError `BLOB_UNKNOWN` */
export async function fetchBlob(
  repository: BlobRepository,
  digest: string,
  options: CallOptions & { onProgress?: ((progress: Moving) => void) | undefined } = {},
): Promise<FetchedBlob> {
  const descriptor = await repository.resolveBlob(parseDigest(digest), options);
  return {
    descriptor,
    open: async () =>
      countMoving(await repository.openBlob(descriptor, options), descriptor, (moving) => options.onProgress?.(moving)),
  };
}
