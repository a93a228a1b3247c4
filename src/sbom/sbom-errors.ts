import { InputError } from '../oci/index.js';
import type { SbomLimits } from './limits.js';

/**
 * The error for an invalid layer.
 * @param layer its digest
 */
export function layerInvalid(layer: string, why: string, cause?: unknown): InputError {
  return new InputError('LAYER_INVALID', `layer ${layer}: ${why}`, {
    remedy: 'Rebuild and push the image: a container runtime cannot unpack this layer either.',
    ...(cause !== undefined && { cause }),
  });
}

/**
 * The error for an image that exceeds a limit of limits.ts.
 * @param name name of the limit, as in docs/reference/rules.md
 * @param what what exceeds the limit: `the layers unpack to more bytes`
 */
export function overLimit(name: keyof SbomLimits, what: string, limit: number): InputError {
  return new InputError('SBOM_LIMIT', `${what} than the limit ${name} allows (${limit})`, {
    remedy:
      'Reduce the image, or set "sbom": {"formats": []} in its rule and attach an SBOM made by another tool (docs/reference/rules.md lists the limits).',
    details: { name, limit },
  });
}
