import type { Descriptor } from '../descriptor.js';
import { RegistryError } from '../errors.js';
import type { ReadableRepository } from '../store.js';
import type { Budget } from './budget.js';

/** Resolves a tag or digest. Undefined if it does not exist. */
export async function resolveIfThere(
  repository: Pick<ReadableRepository, 'resolve'>,
  tagOrDigest: string,
  requests: Budget,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  try {
    return await requests.run(() => repository.resolve(tagOrDigest, { signal }), signal);
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return undefined;
    throw error;
  }
}
