import { MessageChannel } from 'node:worker_threads';
import type { FromWorker } from '../../src/sbom/messages.js';
import type { LayerThread } from '../../src/sbom/start-thread.js';
import { serve } from '../../src/sbom/worker/serve.js';

/** Reads layers in this thread, over the same messages: a thread of its own cannot load the sources of a test. */
export function startThread(): LayerThread {
  const { port1, port2 } = new MessageChannel();
  serve(port2);
  return {
    post: (message, transfer) => port1.postMessage(message, transfer),
    listen: (onMessage) => void port1.on('message', (message: FromWorker) => onMessage(message)),
    workedMs: () => 0,
    end: async () => port1.close(),
  };
}
