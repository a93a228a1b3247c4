import { constants, verify, type KeyObject } from 'node:crypto';

/** JWS name of the algorithm. A key may sign with exactly one algorithm. */
export type NotaryAlgorithm = 'ES256' | 'ES384' | 'ES512' | 'PS256' | 'PS384' | 'PS512';

/** Hash of a signature algorithm. */
export type NotaryHash = 'sha256' | 'sha384' | 'sha512';

const CURVES: ReadonlyMap<string, NotaryAlgorithm> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
]);
const MODULI: ReadonlyMap<number, NotaryAlgorithm> = new Map([
  [2048, 'PS256'],
  [3072, 'PS384'],
  [4096, 'PS512'],
]);
const HASHES = {
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  PS256: 'sha256',
  PS384: 'sha384',
  PS512: 'sha512',
} as const;

/**
 * The algorithm for a key. The key decides, not the envelope.
 * @returns undefined if Notary does not support the key
 * @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#algorithm-selection
 */
export function algorithmOfKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): NotaryAlgorithm | undefined {
  if (asymmetricKeyType === 'ec') return CURVES.get(asymmetricKeyDetails?.namedCurve ?? '');
  if (asymmetricKeyType === 'rsa') return MODULI.get(asymmetricKeyDetails?.modulusLength ?? 0);
  return undefined;
}

/**
 * The algorithm for one of our own keys: P-256, which every signature format supports, or RSA.
 * @returns the problem if the key cannot be used
 */
export function signingAlgorithmOf(key: KeyObject): { algorithm: NotaryAlgorithm } | { problem: string } {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const algorithm = algorithmOfKey(key);
  if (algorithm === 'ES256' || algorithm?.startsWith('PS') === true) return { algorithm };
  if (type === 'ec') return { problem: `it is on the curve ${details?.namedCurve ?? 'unknown'}, not P-256` };
  if (type === 'rsa') {
    return { problem: `it is RSA with ${details?.modulusLength ?? 'unknown'} bits, not 2048, 3072 or 4096` };
  }
  return { problem: `it is ${type ?? 'unknown'}, neither EC nor RSA` };
}

/** The hash of an algorithm. */
export function hashOf(algorithm: NotaryAlgorithm): NotaryHash {
  return HASHES[algorithm];
}

/** Options for Node's crypto: raw r‖s, or PSS with a salt as long as the hash. */
export function cryptoOptions(
  algorithm: NotaryAlgorithm,
): { dsaEncoding: 'ieee-p1363' } | { padding: number; saltLength: number } {
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return algorithm.startsWith('ES') ? { dsaEncoding: 'ieee-p1363' } : { padding, saltLength };
}

/** True if the signature over a message was made with the key. */
export function isSignedBy(
  key: KeyObject,
  algorithm: NotaryAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verify(hashOf(algorithm), message, { key, ...cryptoOptions(algorithm) }, signature);
  } catch {
    return false;
  }
}
