import { Budget } from '../oci/index.js';
import type { SbomGenerator } from './generator.js';
import { SBOM_LIMITS, type SbomLimits } from './limits.js';
import { generateInThread } from './worker-client.js';

/** Options of {@link createStreamingSbomGenerator}. */
export interface StreamingSbomOptions {
  /** Limits that differ from SBOM_LIMITS. */
  limits?: Partial<SbomLimits>;
}

/**
 * Makes SBOMs by streaming the layers of an image from their registry, without temporary files, in a thread of its own
 * for each image. Memory does not depend on the size of the layers.
 */
export function createStreamingSbomGenerator(options: StreamingSbomOptions = {}): SbomGenerator {
  const limits: SbomLimits = { ...SBOM_LIMITS, ...options.limits };
  const images = new Budget(limits.imagesAtOnce);
  return { generate: (input) => images.run(() => generateInThread(input, limits), input.signal) };
}
