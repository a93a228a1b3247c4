import type { QueueServiceClient } from '@azure/storage-queue';
import { InputError } from '../oci/index.js';
import type { QueueLengths, Queues } from '../ports/queues.js';
import { callStorage } from './storage-errors.js';

/** The most bytes of a message: 64 KiB in base64. `MESSAGE_TOO_LARGE` */
const MESSAGE_BYTES = 48 * 1024;

/** The service's -1. Without it, a message would vanish after a week. */
const NEVER_EXPIRES = -1;

/** The port Queues, implemented with storage queues. */
export function storageQueues(service: QueueServiceClient): Queues {
  return {
    async send(queue, text, options = {}) {
      const body = Buffer.from(text);
      if (body.length > MESSAGE_BYTES) {
        throw new InputError('MESSAGE_TOO_LARGE', `a message for ${queue} has ${body.length} bytes`, {
          details: { queue, sizeBytes: body.length, limitBytes: MESSAGE_BYTES },
          remedy: 'Store the text as a document and send its name.',
        });
      }
      await callStorage(`queue ${queue}`, () =>
        service.getQueueClient(queue).sendMessage(body.toString('base64'), {
          visibilityTimeout: options.delaySeconds ?? 0,
          messageTimeToLive: NEVER_EXPIRES,
        }),
      );
    },
  };
}

/** The port QueueLengths, implemented with storage queues. */
export function storageQueueLengths(service: QueueServiceClient): QueueLengths {
  return {
    async length(queue, abortSignal) {
      const client = service.getQueueClient(queue);
      const properties = await callStorage(`queue ${queue}`, () =>
        client.getProperties({ ...(abortSignal && { abortSignal }) }),
      );
      return properties.approximateMessagesCount ?? 0;
    },
  };
}
