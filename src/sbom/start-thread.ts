import { Worker } from 'node:worker_threads';
import type { FromWorker, ToWorker } from './messages.js';

/** A thread that reads the layers of one image. */
export interface LayerThread {
  post(message: ToWorker, transfer: ArrayBuffer[]): void;
  /** Called for each message, and once if the thread ends by itself. */
  listen(onMessage: (message: FromWorker) => void, onEnd: (error: unknown) => void): void;
  /** Milliseconds for which the thread has worked, without those for which it waited. */
  workedMs(): number;
  /** Ends the thread, whatever it does. */
  end(): Promise<void>;
}

/**
 * Megabytes of the thread's young objects. With V8's default of 48, the buffers that unpacking leaves behind are freed
 * so rarely that an image of 150 MB takes a quarter more memory.
 */
const YOUNG_MB = 3;

/**
 * Starts a thread. It is a file of its own: tests of units read layers in their own thread.
 * @param heapBytes the heap at which the thread ends with `ERR_WORKER_OUT_OF_MEMORY`
 */
export function startThread(heapBytes: number): LayerThread {
  // By the package's own name, because the command line is bundled and the thread is not.
  const worker = new Worker(new URL(import.meta.resolve('acr-promoter/sbom/worker')), {
    resourceLimits: { maxOldGenerationSizeMb: Math.ceil(heapBytes / 1024 ** 2), maxYoungGenerationSizeMb: YOUNG_MB },
    env: {},
    execArgv: [],
  });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen(onMessage, onEnd) {
      worker.on('message', onMessage);
      worker.on('error', onEnd);
      worker.on('exit', (code) => onEnd(new Error(`the thread that reads layers ended with ${code}`)));
    },
    workedMs: () => worker.performance.eventLoopUtilization().active,
    end: async () => void (await worker.terminate()),
  };
}
