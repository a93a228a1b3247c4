import type { KeyObject } from 'node:crypto';
import { ConfigurationError, describeError } from '../oci/index.js';
import { chainProblem, invalidAt, isIssuedBy, MOST_CHAIN_CERTIFICATES } from './certificate-chain.js';
import { type CodeSigningCertificate, parseCertificate } from './certificate.js';
import { chainError } from './signing-errors.js';

/**
 * Parses certificates in any order: chains for several versions of a key, renewed certificates, issuers.
 * @throws ConfigurationError `SIGNING_CERTIFICATE_INVALID` if one is malformed
 */
export function readPool(certificates: readonly Uint8Array[]): CodeSigningCertificate[] {
  try {
    return certificates.map(parseCertificate);
  } catch (error) {
    throw chainError(describeError(error).message);
  }
}

/**
 * Finds the chain for a public key, leaf to root. If the key has several certificates, a valid one comes first, then
 * the one that ends last.
 * @returns undefined if the pool has no certificate for the key
 * @throws ConfigurationError `SIGNING_CERTIFICATE_INVALID` if it has one, but none that Notary accepts
 */
export function chainFor(
  key: KeyObject,
  pool: readonly CodeSigningCertificate[],
  now: Date,
): CodeSigningCertificate[] | undefined {
  const endsAt = ({ x509 }: CodeSigningCertificate): number => x509.validToDate.getTime();
  const isValid = (certificate: CodeSigningCertificate): boolean => invalidAt([certificate], now) === undefined;
  const leaves = pool
    .filter(({ publicKey }) => publicKey.equals(key))
    .sort((a, b) => Number(isValid(b)) - Number(isValid(a)) || endsAt(b) - endsAt(a));
  const problems: string[] = [];
  for (const leaf of leaves) {
    const chain = buildChain(leaf, pool, isValid);
    const problem = chainProblem(chain);
    if (problem === undefined) return chain;
    problems.push(problem);
  }
  if (problems[0] !== undefined) throw chainError(problems[0]);
  return undefined;
}

function buildChain(
  leaf: CodeSigningCertificate,
  pool: readonly CodeSigningCertificate[],
  isValid: (certificate: CodeSigningCertificate) => boolean,
): CodeSigningCertificate[] {
  const chain = [leaf];
  for (let last = leaf; !isIssuedBy(last, last) && chain.length < MOST_CHAIN_CERTIFICATES;) {
    const issuers = pool.filter((candidate) => !chain.includes(candidate) && isIssuedBy(last, candidate));
    const issuer = issuers.find(isValid) ?? issuers[0];
    if (issuer === undefined) break;
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}

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
