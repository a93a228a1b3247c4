import {
  anyExtendedKeyUsage,
  id_kp_clientAuth,
  id_kp_emailProtection,
  id_kp_OCSPSigning,
  id_kp_serverAuth,
  id_kp_timeStamping,
  type KeyUsageType,
} from '@peculiar/asn1-x509';
import type { CodeSigningCertificate } from './certificate.js';
import { algorithmOfKey } from './signature-algorithm.js';

/** Maximum certificates in an envelope or a signing chain. `SIGNATURE_INVALID`, `SIGNING_CERTIFICATE_INVALID` */
export const MOST_CHAIN_CERTIFICATES = 10;

const FORBIDDEN_USAGES: readonly KeyUsageType[] = [
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'crlSign',
  'encipherOnly',
  'decipherOnly',
];
const FORBIDDEN_PURPOSES: ReadonlyMap<string, string> = new Map([
  [anyExtendedKeyUsage, 'anyExtendedKeyUsage'],
  [id_kp_serverAuth, 'serverAuth'],
  [id_kp_clientAuth, 'clientAuth'],
  [id_kp_emailProtection, 'emailProtection'],
  [id_kp_timeStamping, 'timeStamping'],
  [id_kp_OCSPSigning, 'OCSPSigning'],
]);

/**
 * Checks a chain, leaf to root, against Notary's certificate requirements. Does not check trust or time.
 * @returns the problem, or undefined
 * @see
 *   https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#certificate-requirements
 */
export function chainProblem(chain: readonly CodeSigningCertificate[]): string | undefined {
  const [leaf] = chain;
  if (leaf === undefined) return 'there is no certificate';
  if (chain.length > MOST_CHAIN_CERTIFICATES) return `there are more than ${MOST_CHAIN_CERTIFICATES} certificates`;
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? certificate;
    const last = index === chain.length - 1;
    const [unhandled] = certificate.unhandledCritical;
    if (unhandled !== undefined) {
      return `${certificate.name} has the extension ${unhandled}, which is critical but not supported`;
    }
    if (!certificate.soundlySigned) return `${certificate.name} is signed with a weak or unknown algorithm`;
    if (!isIssuedBy(certificate, issuer)) {
      return last
        ? `${certificate.name} is not self-signed: the chain must go from the signing certificate to its root`
        : `${certificate.name} is not issued by the next certificate, ${issuer.name}`;
    }
    if (!last && isIssuedBy(certificate, certificate)) return `${certificate.name} is a root before the chain's end`;
    const problem = index === 0 ? leafProblem(certificate) : authorityProblem(certificate, index - 1);
    if (problem !== undefined) return problem;
  }
  const constrained = chain.find(({ hasNameConstraints }) => hasNameConstraints);
  if (constrained !== undefined && leaf.hasAlternativeName) {
    return `${constrained.name} has name constraints, which cannot be checked against the alternative names of ${leaf.name}`;
  }
  return undefined;
}

/** Finds the first certificate of a chain that is not valid at a time. */
export function invalidAt(
  chain: readonly CodeSigningCertificate[],
  time: Date,
): { name: string; validFrom: Date; validTo: Date } | undefined {
  for (const { name, x509 } of chain) {
    const { validFromDate: validFrom, validToDate: validTo } = x509;
    if (!(validFrom <= time && time <= validTo)) return { name, validFrom, validTo };
  }
  return undefined;
}

/** True if a certificate names the issuer and is signed with its key. */
export function isIssuedBy(certificate: CodeSigningCertificate, issuer: CodeSigningCertificate): boolean {
  if (!Buffer.from(certificate.issuerDer).equals(issuer.subjectDer)) return false;
  try {
    return certificate.x509.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function leafProblem(leaf: CodeSigningCertificate): string | undefined {
  if (leaf.basicConstraints?.ca === true) return `${leaf.name} is a signing certificate and must not be an authority`;
  if (leaf.keyUsage?.critical !== true) return `${leaf.name} lacks a critical key usage`;
  const { usages } = leaf.keyUsage;
  if (!usages.includes('digitalSignature')) return `${leaf.name} lacks the key usage digitalSignature`;
  const usage = FORBIDDEN_USAGES.find((name) => usages.includes(name));
  if (usage !== undefined) return `${leaf.name} must not have the key usage ${usage}`;
  for (const oid of leaf.extendedKeyUsage ?? []) {
    const purpose = FORBIDDEN_PURPOSES.get(oid);
    if (purpose !== undefined) return `${leaf.name} must not have the extended key usage ${purpose}`;
  }
  if (algorithmOfKey(leaf.publicKey) === undefined)
    return `${leaf.name} has a key of a kind that Notary signatures do not allow`;
  return undefined;
}

function authorityProblem(authority: CodeSigningCertificate, authoritiesBelow: number): string | undefined {
  const { basicConstraints, keyUsage, name } = authority;
  if (basicConstraints?.ca !== true) return `${name} issues a certificate, but its basic constraints do not allow that`;
  if (basicConstraints.pathLength !== undefined && basicConstraints.pathLength < authoritiesBelow) {
    return `${name} allows ${basicConstraints.pathLength} authorities below it, but has ${authoritiesBelow}`;
  }
  if (keyUsage?.critical !== true) return `${name} lacks a critical key usage`;
  if (!keyUsage.usages.includes('keyCertSign')) return `${name} lacks the key usage keyCertSign`;
  return undefined;
}
