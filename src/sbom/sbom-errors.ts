import { InputError, PromoterError, type Descriptor } from '../oci/index.js';
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
    remedy: `Reduce the image, raise the limit by the setting SBOM_LIMITS={"${name}":…}, or set "sbom": {"formats": []} in its rule and attach an SBOM made by another tool (docs/reference/rules.md lists the limits).`,
    details: { name, limit },
  });
}

/** The code of {@link layerTooSlow}. */
export const LAYER_TOO_SLOW = 'LAYER_TOO_SLOW';

/**
 * The error for a layer that is not read completely when the time limit is reached. Its next reading begins at its
 * start: unpacking cannot continue in the middle.
 * @param beside the number of other layers that were read at the same time
 */
export function layerTooSlow(
  { digest, size }: Descriptor,
  { readBytes, ms, workedMs, beside }: { readBytes: number; ms: number; workedMs: number; beside: number },
): PromoterError {
  const seconds = Math.round(ms / 1000);
  const others = beside === 0 ? '' : `, beside ${beside} other layers`;
  return new PromoterError(
    LAYER_TOO_SLOW,
    `layer ${digest} was not read in time: ${readBytes} of ${size} bytes in ${seconds} s${others}; unpacking took ${Math.round(workedMs / 1000)} s of them`,
    {
      transient: true,
      details: { layer: digest, readBytes, size },
      remedy:
        'The next tries read one layer at a time. If it stays too slow: run the app in the region of the registry, split the layer, or set "sbom": {"formats": []} in the rule and attach an SBOM made by another tool.',
    },
  );
}
