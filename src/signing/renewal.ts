import type { KeyObject } from 'node:crypto';
import { ConfigurationError } from '../oci/index.js';
import type { CodeSigningCertificate } from './certificate.js';
import { readPool, chainFor } from './certificate-pool.js';

const DAY_MS = 86_400_000;

/** The present certificates, held against a key. */
export type Present =
  | { fits: true; subject: string; notAfter: Date }
  /** Why another is needed. */
  | { fits: false; why: string };

/** Whether certificates still do for a key: one is for it, Notary accepts it, and none of its chain ends within so many days. */
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
  if (chain === undefined || leaf === undefined) return { fits: false, why: 'no certificate there is for this key' };
  const notAfter = endOf(chain);
  if (notAfter.getTime() - now.getTime() > renewDays * DAY_MS) return { fits: true, subject: leaf.name, notAfter };
  return { fits: false, why: `the one there ends at ${notAfter.toISOString()}` };
}

/** When a chain is no longer valid: when the first of its certificates isn't. */
export function endOf(chain: readonly { x509: { validToDate: Date } }[]): Date {
  return new Date(Math.min(...chain.map(({ x509 }) => x509.validToDate.getTime())));
}
