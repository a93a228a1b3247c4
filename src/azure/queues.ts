import type { QueueServiceClient } from '@azure/storage-queue';
import { InputError } from '../oci/index.js';
import type { QueueLengths, Queues } from '../ports/queues.js';
import { LIMITS } from './limits.js';
import { callStorage } from './storage-errors.js';

/** The service's -1: a message that waits, or that was put aside with its reason, does not vanish after a week. */
const NEVER_EXPIRES = -1;

/** The port Queues on storage queues. */
export function storageQueues(service: QueueServiceClient): Queues {
  return {
    async send(queue, text, options = {}) {
      const body = Buffer.from(text);
      if (body.length > LIMITS.messageBytes) {
        throw new InputError('MESSAGE_TOO_LARGE', `a message for ${queue} has ${body.length} bytes`, {
          details: { queue, sizeBytes: body.length, limitBytes: LIMITS.messageBytes },
          remedy: 'Keep the text as a document, and send its name.',
        });
      }
      const delaySeconds = options.delaySeconds ?? 0;
      if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > LIMITS.messageDelaySeconds) {
        throw new InputError('MESSAGE_DELAY_INVALID', `a message for ${queue} cannot be hidden for ${delaySeconds} s`);
      }
      await callStorage(`queue ${queue}`, () =>
        service.getQueueClient(queue).sendMessage(body.toString('base64'), {
          visibilityTimeout: delaySeconds,
          messageTimeToLive: NEVER_EXPIRES,
        }),
      );
    },
  };
}

/** The port QueueLengths on storage queues. */
export function storageQueueLengths(service: QueueServiceClient): QueueLengths {
  return {
    async length(queue, abortSignal) {
      const client = service.getQueueClient(queue);
      const properties = await callStorage(`queue ${queue}`, () =>
        client.getProperties(abortSignal === undefined ? {} : { abortSignal }),
      );
      return properties.approximateMessagesCount ?? 0;
    },
  };
}
