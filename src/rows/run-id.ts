import { randomBytes } from 'node:crypto';

/** Crockford's base 32: its characters ascend in ASCII, so that text sorts as the numbers do. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const LATEST_MS = 2 ** 48 - 1;
const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;

/**
 * A new run's id: ten characters that fall as time goes on, a dash, and 80 random bits: 27 characters, good as a table key,
 * as an engine's instance id and in a URL. Sorted as text, the newest comes first.
 * @param nowMs epoch milliseconds, from 0 to the year 10889.
 */
export function newRunId(nowMs: number): string {
  return `${invertedTime(nowMs)}-${base32(randomBytes(RANDOM_BYTES))}`;
}

/** A time as ten characters that sort newest first. @param ms epoch milliseconds; what is outside the range is cut to it. */
export function invertedTime(ms: number): string {
  const left = LATEST_MS - Math.min(Math.max(Math.trunc(ms), 0), LATEST_MS);
  let rest = Number.isNaN(left) ? LATEST_MS : left;
  let text = '';
  for (let index = 0; index < TIME_CHARACTERS; index += 1) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) {
      text += ALPHABET.charAt((held >> (bits - 5)) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return text;
}
