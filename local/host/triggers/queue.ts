import { QueueServiceClient } from '@azure/storage-queue';
import type { DequeuedMessageItem, QueueClient } from '@azure/storage-queue';
import { ConfigurationError } from '../../../src/oci/index.js';
import type { AppFunction } from '../app.js';
import type { Chaos } from '../chaos.js';
import type { TypedData } from '../core.js';
import type { Invoker } from '../invoke.js';
import { describe, log } from '../log.js';
import { expand } from '../options.js';
import type { HostFile } from '../options.js';
import { unsupported } from '../unsupported.js';

export interface QueueTriggerOptions {
  invoker: Invoker;
  chaos: Chaos;
  queues: HostFile['extensions']['queues'];
  lockMs: number;
  /** The longest pause while the queue is empty. */
  pollMs: number;
  settings: Record<string, string | undefined>;
}

export interface QueueTrigger {
  /** Takes nothing new, waits up to `graceMs` for running work, and releases the rest. */
  stop(graceMs: number): Promise<void>;
}

const FIRST_PAUSE_MS = 50;

function connect(fn: AppFunction, settings: QueueTriggerOptions['settings']): QueueServiceClient {
  const given = fn.trigger['connection'];
  const name = typeof given === 'string' && given !== '' ? given : 'AzureWebJobsStorage';
  // The real host tries the name with this prefix first.
  const text = settings[`AzureWebJobs${name}`] ?? settings[name];
  if (text !== undefined && text !== '') {
    return QueueServiceClient.fromConnectionString(text);
  }
  if (Object.keys(settings).some((key) => key.startsWith(`${name}__`))) {
    throw unsupported(`queues with an identity (${name}__…, function ${fn.name})`);
  }
  throw new ConfigurationError(
    'SETTING_MISSING',
    `function ${fn.name} uses the setting ${name} for its queue, but it is missing`,
    {
      remedy: `Set ${name} to a connection string of Azurite.`,
    },
  );
}

/** @returns undefined if the text is not base64 of UTF-8; the function then does not get the message */
function decode(text: string, encoding: 'base64' | 'none'): string | undefined {
  if (encoding === 'none') {
    return text;
  }
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    return undefined;
  }
  try {
    return new TextDecoder('utf8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, 'base64'));
  } catch {
    return undefined;
  }
}

function time(at: Date): TypedData {
  return { json: JSON.stringify(at.toISOString()) };
}

function metadataOf(message: DequeuedMessageItem, text: string): Record<string, TypedData> {
  return {
    QueueTrigger: { string: text },
    Id: { json: JSON.stringify(message.messageId) },
    PopReceipt: { json: JSON.stringify(message.popReceipt) },
    DequeueCount: { json: String(message.dequeueCount) },
    InsertionTime: time(message.insertedOn),
    ExpirationTime: time(message.expiresOn),
    NextVisibleTime: time(message.nextVisibleOn),
  };
}

/** The listener of one queue. */
class Listener {
  readonly #fn: AppFunction;
  readonly #queue: QueueClient;
  readonly #poison: QueueClient;
  readonly #options: QueueTriggerOptions;
  readonly #running = new Map<Promise<void>, () => Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(fn: AppFunction, options: QueueTriggerOptions) {
    const service = connect(fn, options.settings);
    const name = expand(String(fn.trigger['queueName']), options.settings).toLowerCase();
    this.#fn = fn;
    this.#queue = service.getQueueClient(name);
    this.#poison = service.getQueueClient(`${name}-poison`);
    this.#options = options;
  }

  async run(): Promise<void> {
    const { signal } = this.#stopping;
    let pauseMs = FIRST_PAUSE_MS;
    let hasQueue = false;
    let wasReachable = true;
    while (!signal.aborted) {
      try {
        if (!hasQueue) {
          await this.#queue.createIfNotExists({ abortSignal: signal });
          hasQueue = true;
        }
        const room = this.#options.queues.batchSize - this.#running.size;
        const taken = room > 0 ? await this.#take(room, signal) : 0;
        pauseMs = taken > 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 1.5, this.#options.pollMs);
        wasReachable = true;
      } catch (error) {
        if (!signal.aborted && wasReachable) {
          log('error', this.#fn.name, `cannot read queue ${this.#queue.name}, retrying: ${describe(error)}`);
        }
        wasReachable = false;
        // Somebody may have deleted the queue.
        hasQueue = false;
        pauseMs = this.#options.pollMs;
      }
      await pause(pauseMs, signal);
    }
  }

  async #take(room: number, signal: AbortSignal): Promise<number> {
    const { receivedMessageItems } = await this.#queue.receiveMessages({
      numberOfMessages: room,
      visibilityTimeout: Math.ceil(this.#options.lockMs / 1000),
      abortSignal: signal,
    });
    for (const message of receivedMessageItems) {
      const lock = { popReceipt: message.popReceipt };
      const job = this.#work(message, lock)
        .catch((error: unknown) => log('error', this.#fn.name, `message ${message.messageId}: ${describe(error)}`))
        .finally(() => this.#running.delete(job));
      const giveBack = async () => {
        await this.#queue.updateMessage(message.messageId, lock.popReceipt, message.messageText, 0);
      };
      this.#running.set(job, giveBack);
    }
    return receivedMessageItems.length;
  }

  async #work(message: DequeuedMessageItem, lock: { popReceipt: string }): Promise<void> {
    const { maxDequeueCount, visibilityTimeout, messageEncoding } = this.#options.queues;
    if (message.dequeueCount > maxDequeueCount) {
      await this.#moveToPoison(message, lock);
      return;
    }
    // Renewals run one after another, because each changes the message's receipt.
    let renewal = Promise.resolve();
    const renewing = setInterval(() => {
      renewal = renewal
        .then(async () => await this.#hide(message, lock, this.#options.lockMs))
        .catch((error: unknown) =>
          log(
            'warning',
            this.#fn.name,
            `message ${message.messageId} is locked by somebody else now: ${String(error)}`,
          ),
        );
    }, this.#options.lockMs / 3);
    let failure: unknown;
    try {
      const text = decode(message.messageText, messageEncoding);
      if (text === undefined) {
        throw new Error(`the body of message ${message.messageId} is not base64`);
      }
      for (
        let delivery = this.#options.chaos.happens('deliverTwice', this.#fn.name) ? 2 : 1;
        delivery > 0;
        delivery--
      ) {
        await this.#options.invoker.invoke(this.#fn, { string: text }, metadataOf(message, text));
      }
    } catch (error) {
      failure = error;
    } finally {
      clearInterval(renewing);
      await renewal;
    }
    if (failure === undefined) {
      await this.#queue.deleteMessage(message.messageId, lock.popReceipt);
      return;
    }
    log('error', this.#fn.name, `try ${message.dequeueCount} of ${maxDequeueCount}: ${describe(failure)}`);
    if (message.dequeueCount >= maxDequeueCount) {
      await this.#moveToPoison(message, lock);
    } else {
      await this.#hide(message, lock, visibilityTimeout);
    }
  }

  async #hide(message: DequeuedMessageItem, lock: { popReceipt: string }, forMs: number): Promise<void> {
    const seconds = Math.ceil(forMs / 1000);
    const { popReceipt } = await this.#queue.updateMessage(
      message.messageId,
      lock.popReceipt,
      message.messageText,
      seconds,
    );
    lock.popReceipt = popReceipt ?? lock.popReceipt;
  }

  /** Moves the message to the poison queue unchanged and without a reason, as the real host does. */
  async #moveToPoison(message: DequeuedMessageItem, lock: { popReceipt: string }): Promise<void> {
    log('warning', this.#fn.name, `message ${message.messageId} moved to ${this.#poison.name}`);
    await this.#poison.createIfNotExists();
    await this.#poison.sendMessage(message.messageText, { messageTimeToLive: -1 });
    await this.#queue.deleteMessage(message.messageId, lock.popReceipt);
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    await Promise.race([Promise.all(this.#running.keys()), pause(graceMs)]);
    await Promise.allSettled([...this.#running.values()].map(async (giveBack) => await giveBack()));
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
    if (signal === undefined) {
      timer.unref();
    }
  });
}

/**
 * Runs queue functions on Azurite: at least once, in any order. Messages that fail too often go to `<queue>-poison`.
 * @throws ConfigurationError `SETTING_MISSING`, `LOCAL_HOST_UNSUPPORTED`
 */
export function startQueueTrigger(functions: AppFunction[], options: QueueTriggerOptions): QueueTrigger {
  const ofQueue = functions.filter((fn) => fn.trigger.type === 'queueTrigger');
  const listeners = ofQueue.map((fn) => new Listener(fn, options));
  for (const listener of listeners) {
    void listener.run();
  }
  return {
    async stop(graceMs) {
      await Promise.all(listeners.map(async (listener) => await listener.stop(graceMs)));
    },
  };
}
