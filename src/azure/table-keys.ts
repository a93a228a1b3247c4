import { createHash } from 'node:crypto';
import { InputError } from '../oci/index.js';

/** The most characters of a table key made from a name. A longer name is cut and ends with its hash. */
const KEY_CHARACTERS = 300;
/**
 * The most characters of a key made from a repository. A key of 512 characters must also hold a tag and a promotion id.
 */
export const REPOSITORY_CHARACTERS = 160;
/** Length of `_h` and the hash at the end of a longer name. */
const HASH_CHARACTERS = 66;

/** SHA-256 as 64 hexadecimal digits, for keys that are never listed by name. */
export function hashKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Encodes a name as part of a key. Injective, and readable for plain names. Tables refuse `/ \ # ?` and control
 * characters.
 */
export function encodeKey(name: string, mostCharacters = KEY_CHARACTERS): string {
  const text = escaped(name);
  // `_h` is not an escape sequence, so no short name can end like a long one.
  if (text.length <= mostCharacters) return text;
  return `${text.slice(0, mostCharacters - HASH_CHARACTERS)}_h${hashKey(name)}`;
}

/**
 * Encodes the common prefix of the keys of all names that start with `prefix`. For a long prefix, only as much as a
 * long name's key keeps.
 */
export function encodePrefix(prefix: string, mostCharacters = KEY_CHARACTERS): string {
  return escaped(prefix).slice(0, mostCharacters - HASH_CHARACTERS);
}

function escaped(name: string): string {
  return Buffer.from(name)
    .toString('latin1')
    .replace(/[^A-Za-z0-9.-]/g, (byte) => `_${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** The token to continue a list after the row `rowKey`. */
export function pageToken(rowKey: string): string {
  return Buffer.from(rowKey).toString('base64url');
}

/**
 * Decodes the row key from a caller's token.
 * @param prefix with which the keys of this list start
 * @throws InputError `PAGE_TOKEN_INVALID`
 */
export function parsePageToken(token: string, prefix: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  // The key goes into a query, so only characters of our keys are accepted.
  if (pageToken(key) !== token || !key.startsWith(prefix) || !/^[A-Za-z0-9._|-]{1,512}$/.test(key)) {
    throw new InputError('PAGE_TOKEN_INVALID', 'the page token does not belong to this list', {
      remedy: 'Use `next` of the previous page unchanged, or omit it to start at the beginning.',
    });
  }
  return key;
}
