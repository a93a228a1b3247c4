import type { KeyObject } from 'node:crypto';
import { describeError } from '../oci/index.js';
import { parseCertificate, type CodeSigningCertificate } from './certificate.js';
import { chainProblem, invalidAt, isIssuedBy, MOST_CHAIN_CERTIFICATES } from './certificate-chain.js';
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
