import { createHash } from 'node:crypto';
import { InputError } from '../oci/index.js';

/** Characters of a table key that is made from a name; longer names end in their hash. */
const KEY_CHARACTERS = 300;
/** The same of a repository: a key of 512 characters holds a tag and a promotion's id as well. */
export const REPOSITORY_CHARACTERS = 160;
/** The hash at the end of a longer name, and what stands before it. */
const HASH_CHARACTERS = 66;

/** Keys as docs/decisions/storage-keys.md has them. */

/** SHA-256 as 64 hexadecimal digits: the key of what is never listed by name. */
export function hashKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A name as part of a key: injective, readable for plain names; a table refuses `/ \ # ?` and control characters. */
export function encodeKey(name: string, mostCharacters = KEY_CHARACTERS): string {
  const text = escaped(name);
  // `_h` is no escape: no short name ends like a long one.
  if (text.length <= mostCharacters) return text;
  return `${text.slice(0, mostCharacters - HASH_CHARACTERS)}_h${hashKey(name)}`;
}

/** What the keys of all names that begin like this begin with; of a long one, as much as the key of a long name keeps. */
export function encodePrefix(prefix: string, mostCharacters = KEY_CHARACTERS): string {
  return escaped(prefix).slice(0, mostCharacters - HASH_CHARACTERS);
}

function escaped(name: string): string {
  return Buffer.from(name)
    .toString('latin1')
    .replace(/[^A-Za-z0-9.-]/g, (byte) => `_${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
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
  if (pageToken(key) !== token || !key.startsWith(prefix) || !/^[A-Za-z0-9._|-]{1,512}$/.test(key)) {
    throw new InputError('PAGE_TOKEN_INVALID', 'the page token is not one of this list', {
      remedy: 'Use the `next` of the page before, unchanged, or start without one.',
    });
  }
  return key;
}
