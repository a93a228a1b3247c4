import { z } from 'zod';
import { InputError } from '../oci/index.js';
import { ID } from './id.js';
import { readMessageText, type ReadText, MESSAGE_BYTES, INPUT_CHARS } from './message-text.js';
import { listProblems, problemsOf, type Problem } from './problems.js';
import { shapeProblem } from './shape.js';

/** How long "not now" is tried again, from the first time on. */
const RETRY_FOR_MS = 24 * 60 * 60 * 1000;
/** The first pause; each further one is twice as long. */
const RETRY_FIRST_SECONDS = 30;
/** The longest pause. */
const RETRY_LONGEST_SECONDS = 15 * 60;

/** What a message carries that was put back because its work could not be done then. */
export interface Retry {
  /** The queue's id of the message as it first came: what a job without an id is known by. */
  firstMessageId: string;
  firstAt: string;
  /** How often it was put back: 1 after the first time. */
  attempt: number;
}

const retrySchema = z.strictObject({
  retry: z.strictObject({
    // It becomes a job's id, so it is no freer than one that a job names.
    firstMessageId: z.string().regex(ID),
    firstAt: z.iso.datetime({ offset: true }),
    attempt: z.int().min(1).max(100_000),
  }),
  message: z.unknown(),
});

export interface OpenedMessage {
  message: unknown;
  /** Names that an object in its text has twice; none where it came parsed. */
  repeated: Problem[];
  retry?: Retry;
}

/**
 * Takes a message out of the wrapping that {@link retryEnvelope} gave it; any other comes back as it is. A text is read first: the
 * host hands over JSON parsed, and base64 as it is.
 * @throws InputError `MESSAGE_INVALID` for a wrapping of ours that is malformed, a text that is neither JSON nor JSON in base64, and
 * what {@link shapeProblem} finds wrong
 */
export function openMessage(value: unknown): OpenedMessage {
  const outer = parseText(value);
  const { repeated } = outer;
  if (!isWrapped(outer.value)) return { message: checked(outer.value), repeated };
  const result = retrySchema.safeParse(outer.value);
  if (!result.success) throw invalidMessage(listProblems(problemsOf(result.error)));
  const inner = parseText(result.data.message);
  return { message: checked(inner.value), repeated: [...repeated, ...inner.repeated], retry: result.data.retry };
}

function checked(message: unknown): unknown {
  const problem = shapeProblem(message);
  if (problem !== undefined) throw invalidMessage(problem);
  return message;
}

function isWrapped(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'retry' in value && 'message' in value;
}

function parseText(value: unknown): ReadText {
  if (typeof value !== 'string') return { value, repeated: [] };
  if (value.length > INPUT_CHARS) throw invalidMessage(`it is longer than ${INPUT_CHARS} characters`);
  const read = readMessageText(value);
  if (read === undefined) throw invalidMessage('it is neither JSON nor JSON in base64');
  return read;
}

function invalidMessage(why: string): InputError {
  return new InputError('MESSAGE_INVALID', `The message cannot be read: ${why}`, {
    remedy: 'Put one JSON object into each message, as it is or in base64.',
  });
}

/**
 * A message that is put back for later: its text, and how long it shall stay unseen. The pause doubles from 30 seconds to 15
 * minutes; a message that would be a day old by then is given up, as is one that has no room for the wrapping.
 * @param value the message as it came, wrapped or not
 * @param seen the queue's id of it, when it was put there, and what time it is
 * @returns undefined to give up
 */
export function retryEnvelope(
  value: unknown,
  seen: { messageId: string; insertedAt: Date; now: Date },
): { text: string; delaySeconds: number; retry: Retry } | undefined {
  const { message, retry: before } = openMessage(value);
  const attempt = (before?.attempt ?? 0) + 1;
  // It first came no later than this time, whatever it says: else it would be tried for ever.
  const firstMs = Math.min(Date.parse(before?.firstAt ?? seen.insertedAt.toISOString()), seen.insertedAt.getTime());
  const firstAt = new Date(firstMs).toISOString();
  const delaySeconds = Math.min(RETRY_FIRST_SECONDS * 2 ** Math.min(attempt - 1, 30), RETRY_LONGEST_SECONDS);
  if (seen.now.getTime() + delaySeconds * 1000 > firstMs + RETRY_FOR_MS) return undefined;
  const retry = { firstMessageId: before?.firstMessageId ?? seen.messageId, firstAt, attempt };
  const text = JSON.stringify({ retry, message });
  if (Buffer.byteLength(text, 'utf8') > MESSAGE_BYTES) return undefined;
  return { text, delaySeconds, retry };
}
