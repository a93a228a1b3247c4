import { newUnpacking, readBytes } from './encoded-text.js';
import type { Problem } from './problems.js';
import { repeatedNames } from './repeated-names.js';
import { redactText } from './secret-shapes.js';

/** UTF-8 bytes of a queue message's text: a Storage queue holds 64 KiB of base64. What is over them goes to a document. */
export const MESSAGE_BYTES = 48 * 1024;
/** Characters of a message that is read at all. `MESSAGE_INVALID`, `JOB_INVALID` */
export const INPUT_CHARS = 1024 * 1024;
/** Bytes of all files that stand in a job itself. `JOB_INVALID` */
export const INLINE_BYTES = 32 * 1024;

const BYTE_ORDER_MARK = /^\uFEFF/;

export interface ReadText {
  value: unknown;
  repeated: Problem[];
}

/**
 * What the text of a queue's message says: JSON, as most clients put it there, or JSON in base64, as Event Grid, the portal and we
 * do. Read as it stands first; no object or list in JSON is base64, so only a bare number or word could be both, and is no message
 * either way.
 * @returns undefined where it is neither; `repeated`: names that JSON has lost values of
 */
export function readMessageText(text: string): ReadText | undefined {
  const plain = readJson(text);
  if (plain !== undefined) return plain;
  const inside = bytesOf(text);
  const value = inside === undefined ? undefined : readJson(utf8Of(inside) ?? '');
  // Some clients write a text as JSON before they encode it.
  return typeof value?.value === 'string' ? readJson(value.value) : value;
}

/**
 * A text that {@link readMessageText} can make nothing of, as it may be kept: what stands in base64 is told in clear, where its
 * secrets can be found. Bytes that are no text stay as they came, unless a secret shows in them.
 */
export function legibleText(text: string): string {
  const inside = bytesOf(text);
  if (inside === undefined) return text;
  const decoded = utf8Of(inside);
  if (decoded !== undefined && !decoded.includes('\0')) return decoded;
  // UTF-16 is the likely one.
  const searched = readBytes(inside, newUnpacking());
  return redactText(searched) === searched ? text : `(${inside.length} bytes with a secret in them, left out)`;
}

function readJson(text: string): ReadText | undefined {
  const json = text.replace(BYTE_ORDER_MARK, '');
  try {
    return { value: JSON.parse(json) as unknown, repeated: repeatedNames(json) };
  } catch {
    return undefined;
  }
}

/** The bytes of a base64 text, over several lines too, as `base64` and the SDKs read it. */
function bytesOf(text: string): Buffer | undefined {
  const packed = text.length > INPUT_CHARS ? '' : text.replaceAll(/\s+/g, '');
  if (packed === '' || packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(packed)) return undefined;
  return Buffer.from(packed, 'base64');
}

function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
