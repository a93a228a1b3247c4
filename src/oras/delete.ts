import {
  parseDigest,
  RegistryError,
  type BlobRepository,
  type CallOptions,
  type Descriptor,
  type Repository,
} from '../oci/index.js';

export interface DeleteOptions extends CallOptions {
  /** What isn't there is no error. Default: false. */
  ignoreMissing?: boolean;
  /** Asked before anything is deleted; false leaves it. */
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
    // Whoever deletes it at the same time has done what was wanted.
    if (options.ignoreMissing === true && error instanceof RegistryError && error.notFound) return { state: 'missing' };
    throw error;
  }
}

/**
 * Deletes a manifest, and with it all tags that lead to it. What it refers to stays, and so does what refers to it.
 * @throws RegistryError `MANIFEST_UNKNOWN`, `DENIED`, …
 */
export function deleteManifest(
  repository: Repository,
  tagOrDigest: string,
  options: DeleteOptions = {},
): Promise<Deletion> {
  const call = options.signal ? { signal: options.signal } : {};
  return deleteFound(
    () => repository.resolve(tagOrDigest, call),
    ({ digest }) => repository.deleteManifest(digest, call),
    options,
  );
}

/** Deletes a blob. @throws InputError `DIGEST_INVALID`; RegistryError `BLOB_UNKNOWN`, `DENIED`, … */
export function deleteBlob(repository: BlobRepository, digest: string, options: DeleteOptions = {}): Promise<Deletion> {
  const call = options.signal ? { signal: options.signal } : {};
  return deleteFound(
    () => repository.resolveBlob(parseDigest(digest), call),
    (descriptor) => repository.deleteBlob(descriptor, call),
    options,
  );
}
