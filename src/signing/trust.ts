import { ConfigurationError, describeError, getOrMake, VerificationError } from '../oci/index.js';
import { parseCertificate, type CodeSigningCertificate } from './certificate.js';
import { isIssuedBy } from './certificate-chain.js';
import { matchesIdentity, parseTrustedIdentity } from './distinguished-name.js';

/** The trusted signers: a trust store of type `ca`, and the trusted identities. */
export interface NotaryTrust {
  /** Root, intermediate or self-signed signing certificates, DER. One of them must be in the signature's chain. */
  certificates: readonly Uint8Array[];
  /** `x509.subject: C=US, ST=WA, O=Example`, or `*` for any. One of them must match the signing certificate. */
  identities: readonly string[];
}

/**
 * Checks that a chain is trusted.
 * @throws VerificationError `SIGNATURE_UNTRUSTED`, `SIGNATURE_IDENTITY`
 * @throws ConfigurationError `TRUST_STORE_INVALID`, `TRUST_IDENTITY_INVALID`
 */
export function checkTrust(chain: readonly CodeSigningCertificate[], trust: NotaryTrust): void {
  const identities = trust.identities.map(parseTrustedIdentity);
  const anchors = anchorsOf(trust.certificates);
  if (anchors.length === 0 || identities.length === 0) {
    throw new ConfigurationError(
      'TRUST_STORE_INVALID',
      'The trust store has no certificate, or no trusted identity is given',
      {
        remedy: 'Provide the certificates of trusted signers as PEM, and their identities, or "*".',
      },
    );
  }
  const [leaf] = chain;
  const name = leaf?.name ?? 'nobody';
  if (!chain.some(({ der }) => anchors.some((anchor) => Buffer.from(anchor).equals(der)))) {
    throw new VerificationError(
      'SIGNATURE_UNTRUSTED',
      `The signature is by ${name}, which the trust store does not contain`,
      {
        remedy: "Sign with a trusted key, or add the signer's root certificate to the trust store.",
      },
    );
  }
  if (leaf === undefined || !identities.some((identity) => matchesIdentity(leaf.subject, identity))) {
    throw new VerificationError('SIGNATURE_IDENTITY', `The signature is by ${name}, which is not a trusted identity`, {
      remedy: 'Sign with the certificate of a trusted identity, or add this identity.',
    });
  }
}

/** Parsed trust stores, because many signatures are verified with the same one. */
const read = new WeakMap<readonly Uint8Array[], readonly Uint8Array[]>();

function anchorsOf(certificates: readonly Uint8Array[]): readonly Uint8Array[] {
  return getOrMake(read, certificates, () => certificates.map(readAnchor));
}

/** Parses a certificate of the trust store. As in notation, it must be an authority or self-signed. */
function readAnchor(der: Uint8Array): Uint8Array {
  let certificate: CodeSigningCertificate;
  try {
    certificate = parseCertificate(der);
  } catch (error) {
    throw anchorError(describeError(error).message);
  }
  if (certificate.basicConstraints?.ca !== true && !isIssuedBy(certificate, certificate)) {
    throw anchorError(`${certificate.name} is neither an authority nor self-signed`);
  }
  return certificate.der;
}

function anchorError(why: string): ConfigurationError {
  return new ConfigurationError('TRUST_STORE_INVALID', `A certificate of the trust store cannot be used: ${why}`, {
    remedy: 'Use root, intermediate or self-signed signing certificates.',
  });
}
