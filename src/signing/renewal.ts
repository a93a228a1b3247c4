import type { KeyObject } from 'node:crypto';
import { ConfigurationError } from '../oci/index.js';
import type { CodeSigningCertificate } from './certificate.js';
import { readPool, chainFor } from './certificate-pool.js';

const DAY_MS = 86_400_000;

/** Result of checking the current certificates against a key. */
export type Present =
  | { fits: true; subject: string; notAfter: Date }
  /** The reason why a new certificate is needed. */
  | { fits: false; why: string };

/**
 * Checks whether a key has a certificate that Notary accepts, with a chain that stays valid for more than `renewDays`
 * days.
 */
export function holdAgainst(
  publicKey: KeyObject,
  certificates: readonly Uint8Array[],
  { renewDays, now }: { renewDays: number; now: Date },
): Present {
  let chain: CodeSigningCertificate[] | undefined;
  try {
    chain = chainFor(publicKey, readPool(certificates), now);
  } catch (error) {
    if (error instanceof ConfigurationError) return { fits: false, why: error.message };
    throw error;
  }
  const [leaf] = chain ?? [];
  if (chain === undefined || leaf === undefined) return { fits: false, why: 'there is no certificate for this key' };
  const notAfter = endOf(chain);
  if (notAfter.getTime() - now.getTime() > renewDays * DAY_MS) return { fits: true, subject: leaf.name, notAfter };
  return { fits: false, why: `the current certificate expires at ${notAfter.toISOString()}` };
}

/** The end of a chain's validity, that is of its first certificate to expire. */
export function endOf(chain: readonly { x509: { validToDate: Date } }[]): Date {
  return new Date(Math.min(...chain.map(({ x509 }) => x509.validToDate.getTime())));
}
