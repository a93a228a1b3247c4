import { RegistryError, type Descriptor } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';

/** How long a run that is stopped looks for the tag's digest, in milliseconds. */
export const CLOSING_LOOK_MS = 10_000;

/** The tag's descriptor; undefined where the tag or the repository is gone. */
export async function resolveTag(
  ports: Pick<Ports, 'registries'>,
  name: { registry: string; repository: string; tag: string },
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  try {
    return await ports.registries.repository(name.registry, name.repository).resolve(name.tag, { signal });
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return undefined;
    throw error;
  }
}
