import { InputError } from '../oci/index.js';
import type { SbomLimits } from './limits.js';

/** An error for a layer that is not what it has to be. `layer` names it: its digest. */
export function layerInvalid(layer: string, why: string, cause?: unknown): InputError {
  return new InputError('LAYER_INVALID', `layer ${layer}: ${why}`, {
    remedy: 'Build and push the image again; a container runtime could not unpack this layer either.',
    ...(cause !== undefined && { cause }),
  });
}

/**
 * An error for an image that exceeds a bound of limits.ts.
 * @param name the limit, as docs/trouble.md lists it
 * @param what is larger than `limit`: `the layers unpack to more bytes`
 */
export function overLimit(name: keyof SbomLimits, what: string, limit: number): InputError {
  return new InputError('SBOM_LIMIT', `${what} than the limit ${name} allows (${limit})`, {
    remedy:
      'Make the image smaller, or give its rule "sbom": {"formats": []} and attach an SBOM that was made elsewhere (docs/trouble.md lists the limits).',
    details: { name, limit },
  });
}
