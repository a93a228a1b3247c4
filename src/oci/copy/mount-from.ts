import type { Descriptor } from '../descriptor.js';
import { RegistryError } from '../errors.js';
import type { WritableRepository } from '../store.js';

/** A registry may refuse a mount for many reasons, rights in the other repository among them: then it is moved. */
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
