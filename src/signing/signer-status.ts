import { parseCertificate } from './certificate.js';
import { endOf } from './renewal.js';
import type { NotaryAlgorithm } from './signature-algorithm.js';
import type { Signer } from './signer.js';

/** How long before its end a certificate is warned of. */
const WARN_DAYS = 30;
const DAY_MS = 86_400_000;

/** What signs, for people; no secret. */
export interface SignerStatus {
  key: string;
  algorithm: NotaryAlgorithm;
  /** Of the signing certificate: `CN=release,O=Example,C=US`. */
  subject: string;
  /** When the first certificate of the chain ends, ISO 8601. */
  notAfter: string;
}

/** Something to be done about it, with a code of docs/errors.md. */
export interface SignerWarning {
  code: string;
  message: string;
  remedy: string;
}

/** Which key signs with which certificate, and what is to be done about them. */
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
    ? `ended at ${notAfter}; nothing can be signed`
    : `ends in ${days} ${days === 1 ? 'day' : 'days'}, at ${notAfter}`;
  return [
    {
      code: ended ? 'SIGNING_CERTIFICATE_EXPIRED' : 'SIGNING_CERTIFICATE_ENDS_SOON',
      message: `The signing certificate ${subject} ${when}`,
      remedy: 'Renew it: acr-promoter certificate create (docs/operations.md, The signing certificate).',
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
        'Rotate it and make a certificate for the new version (docs/operations.md, The signing certificate), or set a later expiry date.',
    },
  ];
}

function versionWarnings({ uncertified, keyId }: Signer): SignerWarning[] {
  if (uncertified === undefined) return [];
  return [
    {
      code: 'SIGNING_KEY_UNCERTIFIED',
      message: `The newest version of the signing key, ${uncertified}, has no certificate; ${keyId} goes on signing`,
      remedy:
        'Make a certificate for the new version: acr-promoter certificate create (docs/operations.md, The signing certificate).',
    },
  ];
}
