export type QueueName =
  'registry-events' | 'jobs' | 'schedule' | 'registry-events-poison' | 'jobs-poison' | 'promotion-results';

/** Storage queues. Text is base64 on the wire. */
export interface Queues {
  /** @param options.delaySeconds until it can be seen, 0 by default. @throws InputError `MESSAGE_TOO_LARGE` over 48 KiB of text. */
  send(queue: QueueName, text: string, options?: { delaySeconds?: number }): Promise<void>;
}

/** How full the queues are. */
export interface QueueLengths {
  /** Messages in a queue, as the service estimates: those that are being handled are counted too. */
  length(queue: QueueName, signal?: AbortSignal): Promise<number>;
}
