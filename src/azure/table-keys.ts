import { createHash } from 'node:crypto';
import { InputError } from '../oci/index.js';

/** Characters of a table key that is made from a name; longer names end in their hash. */
const KEY_CHARACTERS = 300;

/** Keys as docs/decisions/storage-keys.md has them. */

/** SHA-256 as 64 hexadecimal digits: the key of what is never listed by name. */
export function hashKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A name as part of a key: injective, readable for plain names; a table refuses `/ \ # ?` and control characters. */
export function encodeKey(name: string): string {
  const text = Buffer.from(name)
    .toString('latin1')
    .replace(/[^A-Za-z0-9.-]/g, (byte) => `_${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  // `_h` is no escape: no short name ends like a long one.
  return text.length <= KEY_CHARACTERS ? text : `${text.slice(0, 200)}_h${hashKey(name)}`;
}

/** The token that continues a list after the row `rowKey`. */
export function pageToken(rowKey: string): string {
  return Buffer.from(rowKey).toString('base64url');
}

/**
 * The row key in a token that came back from a caller.
 * @param prefix how the keys of this list start. @throws InputError `PAGE_TOKEN_INVALID`
 */
export function parsePageToken(token: string, prefix: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  // The key goes into a query: it is made of a key's characters, or it isn't ours.
  if (pageToken(key) !== token || !key.startsWith(prefix) || !/^[A-Za-z0-9._|-]{1,500}$/.test(key)) {
    throw new InputError('PAGE_TOKEN_INVALID', 'the page token is not one of this list', {
      remedy: 'Use the `next` of the page before, unchanged, or start without one.',
    });
  }
  return key;
}
