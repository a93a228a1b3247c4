import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { parseCertificate, readCertificates, type CodeSigningCertificate } from './certificate.js';
import {
  bytesOf,
  certificatePem,
  requestInfo,
  requestPem,
  toBeSigned,
  type CertificateTimes,
} from './encode-certificate.js';
import { chainProblem } from './certificate-chain.js';
import { readSigningKey } from './pem-signer.js';
import { chainError } from './signing-errors.js';
import type { SubjectAttribute } from './subject.js';

/** A key for which a certificate is made: in memory, or a remote key that only signs. */
export interface CertifiedKey {
  publicKey: KeyObject;
  /** Signs with SHA-256 in the format of X.509: DER for EC, PKCS #1 v1.5 for RSA. */
  signCertificate(toBeSigned: Uint8Array): Promise<Uint8Array>;
}

/**
 * Makes a self-signed certificate for a key, with the usages that Notary requires, as PEM.
 * @throws ConfigurationError `SIGNING_CERTIFICATE_INVALID`
 * @throws any error of `key`
 */
export async function selfSign(
  key: CertifiedKey,
  subject: readonly SubjectAttribute[],
  times: CertificateTimes,
): Promise<{ pem: string; certificate: CodeSigningCertificate }> {
  const tbs = toBeSigned(key.publicKey, subject, times);
  const pem = certificatePem(tbs, await key.signCertificate(bytesOf(tbs)));
  const [der] = readCertificates(pem);
  const certificate = parseCertificate(der ?? new Uint8Array());
  // This also verifies the signature.
  const problem = chainProblem([certificate]);
  if (problem !== undefined) throw chainError(problem);
  return { pem, certificate };
}

/** Makes a certificate request (PKCS #10) that asks for the usages that Notary requires, as PEM. */
export async function requestCertificate(key: CertifiedKey, subject: readonly SubjectAttribute[]): Promise<string> {
  const info = requestInfo(key.publicKey, subject);
  return requestPem(key.publicKey, info, await key.signCertificate(info));
}

/** @throws ConfigurationError `SIGNING_KEY_INVALID` */
export function pemCertifiedKey(pem: string): CertifiedKey {
  const { key } = readSigningKey(pem);
  return {
    publicKey: createPublicKey(key),
    signCertificate: async (bytes) => sign('sha256', bytes, key),
  };
}
