import type { Descriptor } from '../descriptor.js';
import { digestAlgorithm, isDigest } from '../digest.js';
import { IntegrityError } from '../errors.js';
import type { TransportResponse } from './transport.js';

/**
 * Compares the digest that the registry reports as stored with the descriptor.
 * @throws IntegrityError `DIGEST_MISMATCH`
 */
export function checkStored(response: TransportResponse, descriptor: Descriptor, what: string): void {
  const stored = response.headers['docker-content-digest'];
  if (stored === undefined || !isDigest(stored) || digestAlgorithm(stored) !== digestAlgorithm(descriptor.digest))
    return;
  if (stored === descriptor.digest) return;
  throw new IntegrityError('DIGEST_MISMATCH', `${what}: the registry has stored ${stored}`, {
    details: { expected: descriptor.digest, actual: stored },
  });
}
