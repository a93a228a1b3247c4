import { createHash, type Hash } from 'node:crypto';
import { quoted } from './credentials-in-text.js';
import { InputError } from './errors.js';

/**
 * A digest, `algorithm:hex`, with sha256 or sha512 and lower-case hex digits.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
 */
export type Digest = `sha256:${string}` | `sha512:${string}`;

const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

/** True for a valid sha256 or sha512 digest. */
export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && DIGEST.test(value);
}

/** @throws InputError `DIGEST_INVALID` */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new InputError('DIGEST_INVALID', `${quoted(text)} is not a sha256 or sha512 digest`, {
    remedy: 'Write it as sha256:<64 hex digits> or sha512:<128 hex digits>, in lower case.',
  });
}

/** Supported digest algorithms. */
export type DigestAlgorithm = 'sha256' | 'sha512';

/** The algorithm of a digest. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** Computes a digest incrementally. Default: sha256. */
export function createDigester(algorithm: DigestAlgorithm = 'sha256'): {
  update(bytes: Uint8Array): void;
  digest(): Digest;
} {
  const hash: Hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => `${algorithm}:${hash.digest('hex')}`,
  };
}

/** Computes the digest of bytes. Default: sha256. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}
