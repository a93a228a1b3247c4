import type { KeyObject } from 'node:crypto';
import { VerificationError } from '../oci/index.js';
import type { NotaryAlgorithm } from './signature-algorithm.js';

/** Critical attributes of an envelope. `SIGNATURE_INVALID` */
export const MOST_CRITICAL_ATTRIBUTES = 100;

/** A signature envelope, read and not yet believed: JWS or COSE. */
export interface NotaryEnvelope {
  /** DER, as it stands in the envelope. */
  chain: readonly Uint8Array[];
  /** Of the protected attributes. */
  algorithm: string;
  contentType: string;
  scheme: string;
  signingTime?: Date;
  authenticSigningTime?: Date;
  expiry?: Date;
  /** Names of attributes that whoever verifies must understand. */
  critical: readonly string[];
  /** Names of the protected attributes that the specification does not define. */
  extended: ReadonlySet<string>;
  /** It has a timestamp countersignature, which is not checked here. */
  timestamped: boolean;
  /** Checks the signature with a key that signs with `algorithm`. @returns the payload, or undefined where it is not good */
  open(key: KeyObject, algorithm: NotaryAlgorithm): Promise<Uint8Array | undefined>;
}

/** `SIGNATURE_INVALID`: the envelope breaks the specification, or its bytes are not what was signed. */
export function invalidSignature(why: string, cause?: unknown): VerificationError {
  return new VerificationError('SIGNATURE_INVALID', `The Notary signature is not valid: ${why}`, {
    cause,
    remedy: 'Sign the image again; if nobody did so wrongly, find out who changed the signature.',
  });
}
