import type { InvocationContext } from '@azure/functions';
import { describeError, InputError, PolicyError } from '../../oci/index.js';
import { legibleText } from '../../messages/message-text.js';
import { openMessage, retryEnvelope } from '../../messages/retry.js';
import type { Ports } from '../../ports/ports.js';
import { poisonEnvelope } from '../../messages/poison.js';
import { BROKEN_RULES } from '../../ports/rules-source.js';

/**
 * Handles one queue message and never loses it. A message that is invalid or can never be handled goes to the poison
 * queue at the first try, with its reason. If it cannot be handled yet, it is put back with a delay for up to a day,
 * and then goes to the poison queue.
 */
export async function handleMessage<T>(
  ports: Pick<Ports, 'queues' | 'documents' | 'now'>,
  queue: 'registry-events' | 'jobs',
  raw: unknown,
  context: InvocationContext,
  parse: (raw: unknown) => T,
  handle: (message: T) => Promise<void>,
): Promise<void> {
  try {
    await handle(parse(raw));
  } catch (error) {
    const { code, message: reason } = describeError(error);
    const again = isForGood(error) ? undefined : retryEnvelope(raw, { ...messageOf(context), now: ports.now() });
    if (again === undefined) {
      context.warn(`message of ${queue} kept as poison: ${code}: ${reason}`);
      await keepAsPoison(ports, queue, { code, reason, original: originalOf(raw) });
    } else {
      context.warn(`message of ${queue} put back for ${again.delaySeconds} s: ${code}: ${reason}`);
      await ports.queues.send(queue, again.text, { delaySeconds: again.delaySeconds });
    }
  }
}

/** The original message, without the wrapper of a retry, decoded if it came in base64. */
function originalOf(raw: unknown): unknown {
  try {
    return openMessage(raw).message;
  } catch {
    return typeof raw === 'string' ? legibleText(raw) : raw;
  }
}

/** The id and time that the queue gave to a message. */
export function messageOf(context: InvocationContext): { messageId: string; insertedAt: Date } {
  const { id, insertionTime } = context.triggerMetadata ?? {};
  return {
    messageId: typeof id === 'string' ? id : context.invocationId,
    insertedAt: parsedDate(insertionTime),
  };
}

function parsedDate(value: unknown): Date {
  const date = value instanceof Date ? value : new Date(typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? new Date() : date;
}

/**
 * Keeps a message that can never be handled, with its reason: in the poison queue, or as a document if it is too large.
 */
export async function keepAsPoison(
  ports: Pick<Ports, 'queues' | 'documents'>,
  queue: 'registry-events' | 'jobs',
  poison: { code: string; reason: string; original: unknown },
): Promise<void> {
  const { text, document } = poisonEnvelope(poison);
  if (document !== undefined) await ports.documents.put('dead-letters', document.name, document.bytes);
  await ports.queues.send(`${queue}-poison`, text);
}

/** True if a retry cannot succeed: the message is malformed or a policy forbids it. */
export function isForGood(error: unknown): boolean {
  return (
    (error instanceof InputError || error instanceof PolicyError) && !error.transient && !BROKEN_RULES.has(error.code)
  );
}
