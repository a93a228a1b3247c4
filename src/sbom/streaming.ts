import { Budget } from '../oci/index.js';
import type { SbomGenerator } from './generator.js';
import { SBOM_LIMITS, type SbomLimits } from './limits.js';
import { startThread, type LayerThread } from './start-thread.js';
import { generateInThread, type LayerThreads } from './worker-client.js';

/** How long a thread without an image is kept. Images of an index follow each other at once. */
const KEPT_MS = 2000;

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
 * Makes SBOMs by streaming the layers of an image from their registry, without temporary files, in a thread that reads
 * one image at a time. Memory does not depend on the size of the layers.
 */
export function createStreamingSbomGenerator(options: StreamingSbomOptions = {}): SbomGenerator {
  const limits: SbomLimits = { ...SBOM_LIMITS, ...options.limits };
  const images = new Budget(limits.imagesAtOnce);
  const threads = new KeptThreads(limits.heapBytes);
  if (options.startsAtOnce === true) threads.start();
  return { generate: (input) => images.run(() => generateInThread(input, limits, threads), input.signal) };
}

/** Threads without an image: one that was started early, and those of small images that have just ended. */
class KeptThreads implements LayerThreads {
  readonly #heapBytes: number;
  readonly #kept = new Map<LayerThread, NodeJS.Timeout | undefined>();

  constructor(heapBytes: number) {
    this.#heapBytes = heapBytes;
  }

  /** Starts the thread of the first image. */
  start(): void {
    this.#kept.set(startThread(this.#heapBytes), undefined);
  }

  take(): LayerThread {
    for (const [thread, end] of this.#kept) {
      clearTimeout(end);
      this.#kept.delete(thread);
      if (thread.isRunning()) return thread;
    }
    return startThread(this.#heapBytes);
  }

  keep(thread: LayerThread): void {
    const end = setTimeout(() => {
      this.#kept.delete(thread);
      void thread.end();
    }, KEPT_MS);
    this.#kept.set(thread, end.unref());
  }
}
