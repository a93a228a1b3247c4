export type QueueName =
  'registry-events' | 'jobs' | 'schedule' | 'registry-events-poison' | 'jobs-poison' | 'promotion-results';

/** Storage queues. Text is base64 on the wire. */
export interface Queues {
  /**
   * @param options.delaySeconds time until the message becomes visible. Default: 0
   * @throws InputError `MESSAGE_TOO_LARGE` over 48 KiB of text
   */
  send(queue: QueueName, text: string, options?: { delaySeconds?: number }): Promise<void>;
}

/** The lengths of the queues. */
export interface QueueLengths {
  /** How many messages the service estimates in a queue, including those that are being processed. */
  length(queue: QueueName, signal?: AbortSignal): Promise<number>;
}
