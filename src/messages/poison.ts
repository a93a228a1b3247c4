import { createHash } from 'node:crypto';
import { redactSecrets, redactText } from './secrets.js';
import { MESSAGE_BYTES } from './message-text.js';

/** The most characters of the reason in a poison message; longer reasons are cut. */
const REASON_CHARS = 2000;

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

function parsedOr(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
