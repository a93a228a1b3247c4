import { fileURLToPath } from 'node:url';
import { Worker, type MessagePort } from 'node:worker_threads';
import type { FromUnpacker, FromWorker, ToUnpacker, ToWorker } from './messages.js';

/** A thread that works for one image at a time. */
interface ImageThread<From, To> {
  post(message: To, transfer: readonly (ArrayBuffer | MessagePort)[]): void;
  /**
   * Called for each message, and once if the thread ends by itself. From here on, the thread keeps the process running.
   */
  listen(onMessage: (message: From) => void, onEnd: (error: unknown) => void): void;
  /** Milliseconds for which the thread has worked for the image, without those for which it waited. */
  workedMs(): number;
  /** False once the thread has ended. */
  isRunning(): boolean;
  /** The image has ended: nobody listens until the next one. */
  rest(): void;
  /** Ends the thread, whatever it does. */
  end(): Promise<void>;
}

/** A thread that reads the layers of images, one after the other. */
export type LayerThread = ImageThread<FromWorker, ToWorker>;
/** A thread that unpacks the layers of one image. */
export type UnpackingThread = ImageThread<FromUnpacker, ToUnpacker>;

/**
 * Megabytes of the thread's young objects. With V8's default of 48, the buffers that unpacking leaves behind are freed
 * so rarely that an image of 150 MB takes a quarter more memory.
 */
const YOUNG_MB = 3;

/** With a smaller heap, V8 ends the process instead of the thread. */
const LEAST_HEAP_MB = 8;

/** Megabytes of the heap of a thread that unpacks: its buffers are outside of it. */
const UNPACKER_MB = 64;

/**
 * Starts a thread. It is a file of its own: tests of units read layers in their own thread. Until it is listened to, the
 * thread does not keep the process running.
 * @param heapBytes the heap at which the thread ends with `ERR_WORKER_OUT_OF_MEMORY`
 */
export function startThread(heapBytes: number): LayerThread {
  // By the package's own name, because the command line is bundled and the thread is not.
  return start(
    import.meta.resolve('acr-promoter/sbom/worker'),
    Math.max(Math.ceil(heapBytes / 1024 ** 2), LEAST_HEAP_MB),
  );
}

/** Starts a thread that unpacks. */
export function startUnpacker(): UnpackingThread {
  return start(import.meta.resolve('acr-promoter/sbom/unpacker'), UNPACKER_MB);
}

function start<From, To>(address: string, heapMb: number): ImageThread<From, To> {
  const program = new URL(address);
  const worker = new Worker(program, {
    resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: YOUNG_MB },
    // What was compiled is kept beside the program, where only those can write who can change the program itself.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('compiled/', program)) },
    execArgv: [],
  });
  worker.unref();
  const activeMs = (): number => worker.performance.eventLoopUtilization().active;
  let failure: unknown;
  let earlierMs = 0;
  const ends = (onEnd: (error: unknown) => void): void => {
    worker.on('error', onEnd);
    worker.on('exit', (code) => onEnd(new Error(`a thread of the SBOM ended with ${code}`)));
  };
  const noteEnd = (error: unknown): void => {
    failure ??= error;
  };
  ends(noteEnd);
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen(onMessage, onEnd) {
      if (failure !== undefined) onEnd(failure);
      worker.ref();
      worker.on('message', onMessage);
      ends(onEnd);
    },
    workedMs: () => activeMs() - earlierMs,
    isRunning: () => failure === undefined,
    rest() {
      for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
      ends(noteEnd);
      worker.unref();
      earlierMs = activeMs();
    },
    end: async () => void (await worker.terminate()),
  };
}
