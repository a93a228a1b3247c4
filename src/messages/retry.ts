import { z } from 'zod';
import { InputError } from '../oci/index.js';
import { ID } from './id-forms.js';
import { readMessageText, type ReadText, MESSAGE_BYTES, INPUT_CHARS } from './message-text.js';
import { listProblems, problemsOf, type Problem } from './problems.js';
import { shapeProblem } from './shape.js';

/** How often and how long a message is retried. */
export interface RetryPace {
  /** The first pause. Each further pause is twice as long. */
  firstSeconds: number;
  /** The longest pause. */
  longestSeconds: number;
  /** Time from the first attempt until the message is given up. */
  forMs?: number;
  /** The most attempts. Unlike `forMs` it does not depend on the hosts' clocks. */
  attempts?: number;
}
/** The pace for work that cannot be done yet. */
const NOT_NOW = { firstSeconds: 30, longestSeconds: 15 * 60, forMs: 24 * 60 * 60 * 1000 } satisfies RetryPace;

/** The retry data of a message that was put back. */
export interface Retry {
  /** The queue's id of the original message. It identifies a job that has no id. */
  firstMessageId: string;
  firstAt: string;
  /** How often the message was put back, starting at 1. */
  attempt: number;
  /** Only for events: the position to continue from, if the event was handled in part. */
  from?: string;
}

const retrySchema = z.strictObject({
  retry: z.strictObject({
    // It becomes a job's id, so it must be a valid one.
    firstMessageId: z.string().regex(ID),
    firstAt: z.iso.datetime({ offset: true }),
    attempt: z.int().min(1).max(100_000),
    from: z.string().max(128).exactOptional(),
  }),
  message: z.unknown(),
});

export interface OpenedMessage {
  message: unknown;
  /** Names that occur twice in an object of its text; empty if the message was already parsed. */
  repeated: Problem[];
  retry?: Retry;
}

/**
 * Unwraps a message that {@link retryEnvelope} wrapped; other messages are returned unchanged. Text is parsed first:
 * the host parses JSON itself, but passes base64 as text.
 * @throws InputError `MESSAGE_INVALID` if the wrapper is malformed, if the text is neither JSON nor base64 of JSON, or
 * if {@link shapeProblem} reports a problem
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
  if (value.length > INPUT_CHARS) throw invalidMessage(`the text is longer than ${INPUT_CHARS} characters`);
  const read = readMessageText(value);
  if (read === undefined) throw invalidMessage('the text is neither JSON nor JSON in base64');
  return read;
}

function invalidMessage(why: string): InputError {
  return new InputError('MESSAGE_INVALID', `The message cannot be read: ${why}`, {
    remedy: 'Send one JSON object per message, as plain text or in base64.',
  });
}

/** The queue's data about a message, and the current time. */
interface Seen {
  /** The queue's id of the message. */
  messageId: string;
  /** When the message was put into the queue. */
  insertedAt: Date;
  now: Date;
}

interface Wrapped {
  text: string;
  /** How long the message stays invisible. */
  delaySeconds: number;
  retry: Retry;
}

/**
 * Wraps a message to be retried later. By default the pause doubles from 30 seconds to 15 minutes, and the message is
 * given up when it would be a day old. It is also given up if the wrapped text would be too large.
 * @param value the message as it arrived, wrapped or not
 * @returns undefined to give up
 */
export function retryEnvelope(value: unknown, seen: Seen, pace: RetryPace = NOT_NOW): Wrapped | undefined {
  const { message, retry: before } = openMessage(value);
  const attempt = (before?.attempt ?? 0) + 1;
  const firstMs = firstTimeMs(before, seen);
  const delaySeconds = Math.min(pace.firstSeconds * 2 ** Math.min(attempt - 1, 30), pace.longestSeconds);
  const { forMs = Infinity, attempts = Infinity } = pace;
  if (attempt > attempts || seen.now.getTime() + delaySeconds * 1000 > firstMs + forMs) return undefined;
  return wrapped(message, { ...before, ...first(before, seen, firstMs), attempt }, delaySeconds);
}

/**
 * Wraps an event that was handled in part, to continue at once. This does not count as a failed attempt.
 * @param from where the next call starts
 */
export function continuedEnvelope(value: unknown, seen: Seen, from: string): Wrapped | undefined {
  const { message, retry: before } = openMessage(value);
  return wrapped(message, { ...first(before, seen, firstTimeMs(before, seen)), attempt: 1, from }, 0);
}

/** The first attempt was no later than the insertion. Otherwise a forged `firstAt` would allow endless retries. */
function firstTimeMs(before: Retry | undefined, { insertedAt }: Seen): number {
  return Math.min(Date.parse(before?.firstAt ?? insertedAt.toISOString()), insertedAt.getTime());
}

function first(
  before: Retry | undefined,
  { messageId }: Seen,
  firstMs: number,
): Pick<Retry, 'firstMessageId' | 'firstAt'> {
  return { firstMessageId: before?.firstMessageId ?? messageId, firstAt: new Date(firstMs).toISOString() };
}

function wrapped(message: unknown, retry: Retry, delaySeconds: number): Wrapped | undefined {
  const text = JSON.stringify({ retry, message });
  return Buffer.byteLength(text, 'utf8') > MESSAGE_BYTES ? undefined : { text, delaySeconds, retry };
}
