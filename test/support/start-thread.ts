import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { LayerThread, UnpackingThread } from '../../src/sbom/start-thread.js';
import { serve } from '../../src/sbom/worker/serve.js';
import { serveUnpacker } from '../../src/sbom/worker/unpacker.js';

let readers = 0;

/** How many threads that read layers were started. */
export function startedReaders(): number {
  return readers;
}

/**
 * Reads layers in this thread, over the same messages: a thread of its own cannot load the sources of a test. As with a
 * thread, only who listens keeps the process running.
 */
export function startThread(): LayerThread {
  readers += 1;
  const { port1, port2 } = new MessageChannel();
  serve(port2);
  port2.unref();
  return { ...threadBehind(port1), listen: (onMessage) => void port1.on('message', onMessage) };
}

let unpackers = 0;

/** How many threads that unpack layers were started. */
export function startedUnpackers(): number {
  return unpackers;
}

/** Unpacks layers in this thread. */
export function startUnpacker(): UnpackingThread {
  unpackers += 1;
  const { port1, port2 } = new MessageChannel();
  serveUnpacker(port2);
  port2.unref();
  return { ...threadBehind(port1), listen: (onMessage) => void port1.on('message', onMessage) };
}

function threadBehind(port: MessagePort) {
  return {
    post: (message: unknown, transfer: readonly (ArrayBuffer | MessagePort)[]) => port.postMessage(message, transfer),
    workedMs: () => 0,
    isRunning: () => true,
    rest: () => {
      port.removeAllListeners('message').unref();
    },
    end: async () => port.close(),
  };
}
