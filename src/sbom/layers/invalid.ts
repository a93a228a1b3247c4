import { InputError } from '../../oci/index.js';

/** An error for a layer that is not what it has to be. `layer` names it: its digest. */
export function layerInvalid(layer: string, why: string, cause?: unknown): InputError {
  return new InputError('LAYER_INVALID', `layer ${layer}: ${why}`, {
    remedy: 'Build and push the image again; a container runtime could not unpack this layer either.',
    ...(cause !== undefined && { cause }),
  });
}

/** An error for an image that is over a bound of limits.ts. */
export function overLimit(what: string, limit: number): InputError {
  return new InputError('SBOM_LIMIT', `${what}; the most is ${limit}`, {
    remedy: 'Make the image smaller, or make its SBOM elsewhere and attach it.',
    details: { limit },
  });
}
