import { RegistryError, type Descriptor, type ReadableRepository } from '../oci/index.js';

/** True if the repository has a manifest. A list of the tag schema, which anybody may write, may name what it does not have. */
export async function isThere(
  repository: Pick<ReadableRepository, 'resolve'>,
  { digest }: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await repository.resolve(digest, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return false;
    throw error;
  }
}
