import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { bytesOf, certificatePem, toBeSigned, type CertificateTimes } from '../../src/signing/encode-certificate.js';
import { subjectOf } from '../../src/signing/subject.js';

interface SelfSignedOptions extends CertificateTimes {
  commonName: string;
  country?: string;
  state?: string;
  organization?: string;
}

/** A new EC P-256 key and a self-signed certificate for it, both PEM. */
export function createSelfSignedCertificate(options: SelfSignedOptions): { keyPem: string; certificatePem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { country: C, state: ST, organization: O, commonName: CN } = options;
  const tbs = toBeSigned(createPublicKey(privateKey), subjectOf({ C, ST, O, CN }), options);
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: certificatePem(tbs, sign('sha256', bytesOf(tbs), privateKey)),
  };
}
