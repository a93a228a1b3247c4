import { parseCertificate } from './certificate.js';
import { endOf } from './certificate-pool.js';
import type { NotaryAlgorithm } from './signature-algorithm.js';
import type { Signer } from './signer.js';

/** Days before the end of a certificate or key from which a warning is shown. */
const WARN_DAYS = 30;
const DAY_MS = 86_400_000;

/** Description of the signer for people. It contains no secret. */
export interface SignerStatus {
  key: string;
  algorithm: NotaryAlgorithm;
  /** Subject of the signing certificate: `CN=release,O=Example,C=US`. */
  subject: string;
  /** When the first certificate of the chain expires, ISO 8601. */
  notAfter: string;
}

/** A warning about the signer, with a code of docs/reference/errors.md. */
export interface SignerWarning {
  code: string;
  message: string;
  remedy: string;
}

/** Describes the signing key and certificate, and warns of what needs action. */
export function describeSigner(signer: Signer, now: Date): { status: SignerStatus; warnings: SignerWarning[] } {
  const chain = signer.certificates.map(parseCertificate);
  const notAfter = endOf(chain);
  const subject = chain[0]?.name ?? '';
  const status = { key: signer.keyId, algorithm: signer.algorithm, subject, notAfter: notAfter.toISOString() };
  return {
    status,
    warnings: [...endWarnings(status, notAfter, now), ...keyWarnings(signer, now), ...versionWarnings(signer)],
  };
}

function endWarnings({ subject, notAfter }: SignerStatus, end: Date, now: Date): SignerWarning[] {
  const days = Math.ceil((end.getTime() - now.getTime()) / DAY_MS);
  if (days > WARN_DAYS) return [];
  const ended = end < now;
  const when = ended
    ? `expired at ${notAfter}; signing fails`
    : `expires in ${days} ${days === 1 ? 'day' : 'days'}, at ${notAfter}`;
  return [
    {
      code: ended ? 'SIGNING_CERTIFICATE_EXPIRED' : 'SIGNING_CERTIFICATE_ENDS_SOON',
      message: `The signing certificate ${subject} ${when}`,
      remedy: 'Renew it: acr-promoter certificate create (docs/how-to/operate.md, Renew the signing certificate).',
    },
  ];
}

function keyWarnings({ keyId, expires }: Signer, now: Date): SignerWarning[] {
  if (expires === undefined || expires.getTime() - now.getTime() > WARN_DAYS * DAY_MS) return [];
  return [
    {
      code: 'SIGNING_KEY_ENDS_SOON',
      message: `The signing key ${keyId} expires at ${expires.toISOString()}`,
      remedy:
        'Rotate it and create a certificate for the new version (docs/how-to/operate.md, Renew the signing certificate), or set a later expiry date.',
    },
  ];
}

function versionWarnings({ uncertified, keyId }: Signer): SignerWarning[] {
  if (uncertified === undefined) return [];
  return [
    {
      code: 'SIGNING_KEY_UNCERTIFIED',
      message: `The newest version of the signing key, ${uncertified}, has no certificate; ${keyId} is still used`,
      remedy:
        'Create a certificate for the new version: acr-promoter certificate create (docs/how-to/operate.md, Renew the signing certificate).',
    },
  ];
}
