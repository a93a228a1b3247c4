import { createHash } from 'node:crypto';
import { z } from 'zod';
import { redactText } from './secret-shapes.js';
import { redactSecrets } from './secrets.js';
import { MESSAGE_BYTES } from './message-text.js';

/** Characters of a reason in a poison message. Cut. */
const REASON_CHARS = 2000;

/** A message that can never be handled, kept with its reason. */
export interface PoisonMessage {
  /** `MOVED_BY_HOST` where the host gave up, and no reason is known. */
  code: string;
  reason: string;
  /** As it came, secrets apart; absent where it is kept as a document. */
  original?: unknown;
  /** The document's name in `dead-letters`. */
  originalDocument?: string;
}

export interface PoisonEnvelope {
  /** For the poison queue: 48 KiB at most. */
  text: string;
  /** To be put into `dead-letters` before the message is sent: the original, where it is too large for the message. */
  document?: { name: string; bytes: Uint8Array };
}

/** Wraps a message that can never be handled. What looks like a secret in it is left out. */
export function poisonEnvelope(poison: { code: string; reason: string; original: unknown }): PoisonEnvelope {
  const { code } = poison;
  const reason = poison.reason.slice(0, REASON_CHARS);
  const parsed = parsedOr(poison.original);
  const original = typeof parsed === 'string' ? redactText(parsed) : (redactSecrets(parsed) ?? null);
  const text = JSON.stringify({ code, reason, original });
  if (Buffer.byteLength(text, 'utf8') <= MESSAGE_BYTES) return { text };
  const bytes = Buffer.from(JSON.stringify(original), 'utf8');
  // Named by its content: the same message, delivered twice, is kept once.
  const name = `${createHash('sha256').update(bytes).digest('hex')}.json`;
  return { text: JSON.stringify({ code, reason, originalDocument: name }), document: { name, bytes } };
}

const oursSchema = z.union([
  z.strictObject({ code: z.string().min(1), reason: z.string(), original: z.unknown() }),
  z.strictObject({ code: z.string().min(1), reason: z.string(), originalDocument: z.string().min(1) }),
]);

/** Reads a message of a poison queue: ours, or the message itself, as the host moves it after five tries. */
export function parsePoison(value: unknown): PoisonMessage {
  const parsed = parsedOr(value);
  const ours = oursSchema.safeParse(parsed);
  if (ours.success) return ours.data;
  return {
    code: 'MOVED_BY_HOST',
    reason: 'The host gave it up after trying it several times; its log has the reason.',
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
