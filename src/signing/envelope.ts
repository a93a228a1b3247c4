import type { KeyObject } from 'node:crypto';
import { VerificationError } from '../oci/index.js';
import type { NotaryAlgorithm } from './signature-algorithm.js';

/** Maximum critical attributes of an envelope. `SIGNATURE_INVALID` */
export const MOST_CRITICAL_ATTRIBUTES = 100;

/** A parsed signature envelope, JWS or COSE, which is not verified yet. */
export interface NotaryEnvelope {
  /** Certificates in DER, as in the envelope. */
  chain: readonly Uint8Array[];
  /** From the protected attributes. */
  algorithm: string;
  contentType: string;
  scheme: string;
  signingTime?: Date;
  authenticSigningTime?: Date;
  expiry?: Date;
  /** Names of attributes that a verifier must support. */
  critical: readonly string[];
  /** Names of protected attributes that the specification does not define. */
  extended: ReadonlySet<string>;
  /** True if it has a timestamp countersignature, which is not verified here. */
  timestamped: boolean;
  /**
   * Verifies the signature.
   * @returns the payload, or undefined if the signature is wrong
   */
  open(key: KeyObject, algorithm: NotaryAlgorithm): Promise<Uint8Array | undefined>;
}

/**
 * Creates the error `SIGNATURE_INVALID`: the envelope violates the specification, or its bytes are not what was signed.
 */
export function invalidSignature(why: string, cause?: unknown): VerificationError {
  return new VerificationError('SIGNATURE_INVALID', `The Notary signature is not valid: ${why}`, {
    cause,
    remedy: 'Sign the image again. If the signature was valid before, find out who changed it.',
  });
}
