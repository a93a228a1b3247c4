import { Budget } from '../oci/index.js';
import type { SbomGenerator } from './generator.js';
import { SBOM_LIMITS, type SbomLimits } from './limits.js';
import { startThread, type LayerThread } from './start-thread.js';
import { generateInThread } from './worker-client.js';

/** Options of {@link createStreamingSbomGenerator}. */
export interface StreamingSbomOptions {
  /** Limits that differ from SBOM_LIMITS. */
  limits?: Partial<SbomLimits>;
  /**
   * True to start the thread of the first image at once, while the caller still looks up the image. If no image follows,
   * the process can end all the same. Default: false.
   */
  startsAtOnce?: boolean;
}

/**
 * Makes SBOMs by streaming the layers of an image from their registry, without temporary files, in a thread of its own
 * for each image. Memory does not depend on the size of the layers.
 */
export function createStreamingSbomGenerator(options: StreamingSbomOptions = {}): SbomGenerator {
  const limits: SbomLimits = { ...SBOM_LIMITS, ...options.limits };
  const images = new Budget(limits.imagesAtOnce);
  const start = (): LayerThread => startThread(limits.heapBytes);
  let started = options.startsAtOnce === true ? start() : undefined;
  const take = (): LayerThread => {
    const thread = started ?? start();
    started = undefined;
    return thread;
  };
  return { generate: (input) => images.run(() => generateInThread(input, limits, take), input.signal) };
}
