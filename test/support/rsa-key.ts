import { generateKeyPairSync, type KeyObject } from 'node:crypto';

const keys = new Map<number, KeyObject>();

/** A private RSA key of this size, the same one for all tests of a process: to make one takes up to seconds. */
export function rsaKey(modulusLength: number): KeyObject {
  const key = keys.get(modulusLength) ?? generateKeyPairSync('rsa', { modulusLength }).privateKey;
  keys.set(modulusLength, key);
  return key;
}
