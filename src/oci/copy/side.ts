import type { Descriptor } from '../descriptor.js';
import { CopyError, ifThere, PromoterError, RegistryError } from '../errors.js';
import type { CallOptions, ReadableRepository, WritableRepository } from '../repository.js';

/**
 * Runs one operation of a copy and names the operation and its side in errors.
 * @throws CopyError with the code, remedy and transience of the original error
 */
export async function onSide<T>(side: 'source' | 'destination', operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // An inner operation has already named the side: a source may fail while the destination reads from it.
    if (!(error instanceof PromoterError) || error instanceof CopyError) throw error;
    throw new CopyError(error.code, `${operation} at the ${side}: ${error.message}`, {
      cause: error,
      details: { ...error.details, side, operation },
      ...(error.remedy !== undefined && { remedy: error.remedy }),
      transient: error.transient,
    });
  }
}

/** Resolves a tag or digest. Undefined if it or the repository does not exist. */
export function resolveIfThere(
  repository: Pick<ReadableRepository, 'resolve'>,
  tagOrDigest: string,
  options: CallOptions,
): Promise<Descriptor | undefined> {
  return ifThere(() => repository.resolve(tagOrDigest, options));
}

/**
 * Tries to mount a blob. False if the registry refuses, for example because of missing rights in the other repository:
 * the blob is then copied.
 */
export async function mountFrom(
  destination: WritableRepository,
  descriptor: Descriptor,
  from: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await destination.mountBlob(descriptor, from, { signal });
  } catch (error) {
    if (error instanceof RegistryError && !error.transient) return false;
    throw error;
  }
}
