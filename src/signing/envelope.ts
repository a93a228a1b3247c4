import type { KeyObject } from 'node:crypto';
import { isRecord, VerificationError } from '../oci/index.js';
import { MOST_CHAIN_CERTIFICATES } from './certificate-chain.js';
import { AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_TIME } from './notary-format.js';
import type { NotaryAlgorithm } from './signature-algorithm.js';

/** Maximum critical attributes of an envelope. `SIGNATURE_INVALID` */
const MOST_CRITICAL_ATTRIBUTES = 100;

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

/** Reads the times of an envelope. @param toDate reads one value; undefined if it is not a time */
export function readTimes(
  attributeOf: (name: string) => unknown,
  toDate: (value: unknown) => Date | undefined,
): Pick<NotaryEnvelope, 'signingTime' | 'authenticSigningTime' | 'expiry'> {
  const readTime = (name: string): Date | undefined => {
    const value = attributeOf(name);
    if (value === undefined || value === null) return undefined;
    const time = toDate(value);
    if (time === undefined || Number.isNaN(time.getTime())) throw invalidSignature(`${name} is not a time`);
    return time;
  };
  const [signingTime, authenticSigningTime, expiry] = [SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY].map(readTime);
  return {
    ...(signingTime && { signingTime }),
    ...(authenticSigningTime && { authenticSigningTime }),
    ...(expiry && { expiry }),
  };
}

/** Reads the names of the critical attributes. */
export function readCritical(value: unknown, isName: (each: unknown) => boolean): string[] {
  if (!Array.isArray(value) || value.length > MOST_CRITICAL_ATTRIBUTES || !value.every(isName)) {
    throw invalidSignature('the list of critical attributes is missing or malformed');
  }
  return value.map(String);
}

/** Reads the certificate chain. @param toDer reads one certificate; undefined if it is malformed */
export function readChain(value: unknown, toDer: (each: unknown) => Uint8Array | undefined): Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0) throw invalidSignature('the certificate chain is missing');
  if (value.length > MOST_CHAIN_CERTIFICATES) {
    throw invalidSignature(`the chain has ${value.length} certificates; the maximum is ${MOST_CHAIN_CERTIFICATES}`);
  }
  return value.map((each: unknown) => {
    const der = toDer(each);
    if (der === undefined) throw invalidSignature('the certificate chain is malformed');
    return der;
  });
}

/** Parses a JSON object of a signature. @param what names it in the error */
export function readJson(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalidSignature(`${what} is not JSON`, cause);
  }
  if (!isRecord(value)) throw invalidSignature(`${what} is not a JSON object`);
  return value;
}
