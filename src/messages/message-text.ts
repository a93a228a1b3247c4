import { repeatedNames, type Problem } from './problems.js';
import { redactText } from './secrets.js';

/** The most UTF-8 bytes of a queue message: a Storage queue holds 64 KiB of base64. Larger texts go to a document. */
export const MESSAGE_BYTES = 48 * 1024;
/** The most characters of a message that is parsed. `MESSAGE_INVALID`, `JOB_INVALID` */
export const INPUT_CHARS = 1024 * 1024;
/** The most bytes of all files in a job. `JOB_INVALID` */
export const INLINE_BYTES = 32 * 1024;

const BYTE_ORDER_MARK = /^\uFEFF/;

export interface ReadText {
  value: unknown;
  repeated: Problem[];
}

/**
 * Parses the text of a queue message. Most clients send JSON; Event Grid, the portal and this app send JSON in base64.
 * Plain JSON is tried first: no JSON object or list is valid base64, and a bare number or word is not a message in
 * either form.
 * @returns undefined if it is neither; `repeated` lists names that occur twice in an object
 */
export function readMessageText(text: string): ReadText | undefined {
  const plain = readJson(text);
  if (plain !== undefined) return plain;
  const inside = bytesOf(text);
  const value = inside === undefined ? undefined : readJson(utf8Of(inside) ?? '');
  // Some clients encode the text as a JSON string before base64.
  return typeof value?.value === 'string' ? readJson(value.value) : value;
}

/**
 * Makes a text that {@link readMessageText} cannot parse fit to be stored: base64 is decoded, so that secrets in it can
 * be found. Binary content stays as it is unless it contains a secret.
 */
export function legibleText(text: string): string {
  const inside = bytesOf(text);
  if (inside === undefined) return text;
  const decoded = utf8Of(inside);
  if (decoded !== undefined && !decoded.includes('\0')) return decoded;
  // The bytes are not UTF-8; they may be UTF-16.
  const searched = inside.toString('latin1').replaceAll('\0', '');
  return redactText(searched) === searched ? text : `(${inside.length} bytes that contain a secret, removed)`;
}

function readJson(text: string): ReadText | undefined {
  const json = text.replace(BYTE_ORDER_MARK, '');
  try {
    return { value: JSON.parse(json) as unknown, repeated: repeatedNames(json) };
  } catch {
    return undefined;
  }
}

/** Decodes a base64 text, which may have line breaks, as `base64` and the SDKs accept it. */
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
