import type { Descriptor } from '../descriptor.js';
import { RegistryError } from '../errors.js';
import type { WritableRepository } from '../store.js';

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
