import { parseReference } from '../../oci/index.js';

/** A destination `registry/repository:tag` in its parts. */
export function splitDestination(destination: string): { registry: string; repository: string; tag: string } {
  const { registry, repository, tag = 'latest' } = parseReference(destination);
  return { registry, repository, tag };
}
