import { createHash } from 'node:crypto';
import { z } from 'zod';
import { redactSecrets, redactText } from './secrets.js';
import { MESSAGE_BYTES } from './message-text.js';

/** The most characters of the reason in a poison message; longer reasons are cut. */
const REASON_CHARS = 2000;

/** A message that can never be handled, with the reason. */
export interface PoisonMessage {
  /** `MOVED_BY_HOST` if the Functions host moved the message after several failures, so that the reason is unknown. */
  code: string;
  reason: string;
  /** The original message without secrets; absent if it is stored as a document. */
  original?: unknown;
  /** The name of the document with the whole message, in the container `dead-letters`. */
  originalDocument?: string;
}

export interface PoisonEnvelope {
  /** The text for the poison queue, at most 48 KiB. */
  text: string;
  /** The original, if it is too large for the message. Write it to `dead-letters` before sending the message. */
  document?: { name: string; bytes: Uint8Array };
}

/** Wraps a message that can never be handled. Redacts everything that looks like a secret. */
export function poisonEnvelope(poison: { code: string; reason: string; original: unknown }): PoisonEnvelope {
  const { code } = poison;
  const reason = poison.reason.slice(0, REASON_CHARS);
  const parsed = parsedOr(poison.original);
  const original = typeof parsed === 'string' ? redactText(parsed) : (redactSecrets(parsed) ?? null);
  const text = JSON.stringify({ code, reason, original });
  if (Buffer.byteLength(text, 'utf8') <= MESSAGE_BYTES) return { text };
  const bytes = Buffer.from(JSON.stringify(original), 'utf8');
  // Named by its content, so that a message that is delivered twice is stored once.
  const name = `${createHash('sha256').update(bytes).digest('hex')}.json`;
  return { text: JSON.stringify({ code, reason, originalDocument: name }), document: { name, bytes } };
}

const oursSchema = z.union([
  z.strictObject({ code: z.string().min(1), reason: z.string(), original: z.unknown() }),
  z.strictObject({ code: z.string().min(1), reason: z.string(), originalDocument: z.string().min(1) }),
]);

/**
 * Parses a message of a poison queue: one that this app wrote, or an original that the host moved after five failures.
 */
export function parsePoison(value: unknown): PoisonMessage {
  const parsed = parsedOr(value);
  const ours = oursSchema.safeParse(parsed);
  if (ours.success) return ours.data;
  return {
    code: 'MOVED_BY_HOST',
    reason: 'The Functions host moved the message after five failed attempts; see the app’s log.',
    original: parsed,
  };
}

function parsedOr(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
