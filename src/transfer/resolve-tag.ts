import type { Descriptor } from '../oci/index.js';
import { resolveIfThere } from '../oras/index.js';
import type { Ports } from '../ports/ports.js';

/** How long a run that is stopped looks for the tag's digest, in milliseconds. */
export const CLOSING_LOOK_MS = 10_000;

/** The tag's descriptor; undefined where the tag or the repository is gone. */
export function resolveTag(
  ports: Pick<Ports, 'registries'>,
  name: { registry: string; repository: string; tag: string },
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  return resolveIfThere(ports.registries.repository(name.registry, name.repository), name.tag, { signal });
}
