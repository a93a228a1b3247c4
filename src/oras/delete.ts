import {
  parseDigest,
  RegistryError,
  type BlobRepository,
  type CallOptions,
  type Descriptor,
  type Repository,
} from '../oci/index.js';

export interface DeleteOptions extends CallOptions {
  /** A missing manifest or blob is no error. Default: false. */
  ignoreMissing?: boolean;
  /** Called before the deletion; false prevents it. */
  confirm?: (descriptor: Descriptor) => Promise<boolean>;
}

export type Deletion = { state: 'deleted' | 'cancelled'; descriptor: Descriptor } | { state: 'missing' };

async function deleteFound(
  resolve: () => Promise<Descriptor>,
  remove: (descriptor: Descriptor) => Promise<void>,
  options: DeleteOptions,
): Promise<Deletion> {
  try {
    const descriptor = await resolve();
    if (options.confirm !== undefined && !(await options.confirm(descriptor)))
      return { state: 'cancelled', descriptor };
    await remove(descriptor);
    return { state: 'deleted', descriptor };
  } catch (error) {
    // Another client deleted it at the same time.
    if (options.ignoreMissing === true && error instanceof RegistryError && error.notFound) return { state: 'missing' };
    throw error;
  }
}

/**
 * Deletes a manifest and all its tags. Its blobs, children and referrers stay.
 * @throws RegistryError `MANIFEST_UNKNOWN`, `DENIED`, …
 */
export function deleteManifest(
  repository: Repository,
  tagOrDigest: string,
  options: DeleteOptions = {},
): Promise<Deletion> {
  const call = { signal: options.signal };
  return deleteFound(
    () => repository.resolve(tagOrDigest, call),
    ({ digest }) => repository.deleteManifest(digest, call),
    options,
  );
}

/** Deletes a blob. @throws InputError `DIGEST_INVALID`; RegistryError `BLOB_UNKNOWN`, `DENIED`, … */
export function deleteBlob(repository: BlobRepository, digest: string, options: DeleteOptions = {}): Promise<Deletion> {
  const call = { signal: options.signal };
  return deleteFound(
    () => repository.resolveBlob(parseDigest(digest), call),
    (descriptor) => repository.deleteBlob(descriptor, call),
    options,
  );
}
