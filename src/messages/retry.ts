import { z } from 'zod';
import { InputError } from '../oci/index.js';
import { ID } from './id.js';
import { readMessageText, type ReadText, MESSAGE_BYTES, INPUT_CHARS } from './message-text.js';
import { listProblems, problemsOf, type Problem } from './problems.js';
import { shapeProblem } from './shape.js';

/** How often a message is tried again, and for how long. */
export interface RetryPace {
  /** The first pause; each further one is twice as long. */
  firstSeconds: number;
  /** The longest pause. */
  longestSeconds: number;
  /** From the first time on. */
  forMs?: number;
  /** How often: so two hosts' clocks may be apart. */
  attempts?: number;
}
/** What is "not now". */
const NOT_NOW = { firstSeconds: 30, longestSeconds: 15 * 60, forMs: 24 * 60 * 60 * 1000 } satisfies RetryPace;

/** What a message carries that was put back because its work could not be done then. */
export interface Retry {
  /** The queue's id of the message as it first came: what a job without an id is known by. */
  firstMessageId: string;
  firstAt: string;
  /** How often it was put back: 1 after the first time. */
  attempt: number;
  /** Of an event: it was handled in part, and is to be gone on with from here. */
  from?: string;
}

const retrySchema = z.strictObject({
  retry: z.strictObject({
    // It becomes a job's id, so it is no freer than one that a job names.
    firstMessageId: z.string().regex(ID),
    firstAt: z.iso.datetime({ offset: true }),
    attempt: z.int().min(1).max(100_000),
    from: z.string().max(128).exactOptional(),
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

/** When a message came. */
interface Seen {
  /** The queue's id of it. */
  messageId: string;
  /** When it was put there. */
  insertedAt: Date;
  now: Date;
}

interface Wrapped {
  text: string;
  /** How long it shall stay unseen. */
  delaySeconds: number;
  retry: Retry;
}

/**
 * A message that is put back for later. The pause doubles, from 30 seconds to 15 minutes by default; a message that would be a day old by
 * then, by default, is given up, as is one that has no room for the wrapping.
 * @param value the message as it came, wrapped or not
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
 * A message that was handled in part and is to be gone on with at once: that counts as no failed attempt.
 * @param from where the next call begins
 */
export function continuedEnvelope(value: unknown, seen: Seen, from: string): Wrapped | undefined {
  const { message, retry: before } = openMessage(value);
  return wrapped(message, { ...first(before, seen, firstTimeMs(before, seen)), attempt: 1, from }, 0);
}

/** It first came no later than it was inserted, whatever it says: else it would be tried for ever. */
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
