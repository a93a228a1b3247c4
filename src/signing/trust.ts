import { ConfigurationError, describeError, VerificationError } from '../oci/index.js';
import { parseCertificate, type CodeSigningCertificate } from './certificate.js';
import { isIssuedBy } from './certificate-chain.js';
import { matchesIdentity, parseTrustedIdentity } from './distinguished-name.js';

/** Who is believed: a trust store of kind `ca`, and whose certificates of those it vouches for. */
export interface NotaryTrust {
  /** Roots, intermediates, or self-signed signing certificates, DER. One of them must be in the signature's chain. */
  certificates: readonly Uint8Array[];
  /** `x509.subject: C=US, ST=WA, O=Example`: one must match the signing certificate. `*` is anybody. */
  identities: readonly string[];
}

/**
 * @throws VerificationError `SIGNATURE_UNTRUSTED`, `SIGNATURE_IDENTITY`
 * @throws ConfigurationError `TRUST_STORE_INVALID`, `TRUST_IDENTITY_INVALID`
 */
export function checkTrust(chain: readonly CodeSigningCertificate[], trust: NotaryTrust): void {
  const identities = trust.identities.map(parseTrustedIdentity);
  const anchors = anchorsOf(trust.certificates);
  if (anchors.length === 0 || identities.length === 0) {
    throw new ConfigurationError('TRUST_STORE_INVALID', 'The trust store names no certificate or no identity', {
      remedy: 'Give the certificates of those who may sign as PEM, and their identities, or "*".',
    });
  }
  const [leaf] = chain;
  const name = leaf?.name ?? 'nobody';
  if (!chain.some(({ der }) => anchors.some((anchor) => Buffer.from(anchor).equals(der)))) {
    throw new VerificationError(
      'SIGNATURE_UNTRUSTED',
      `The signature is by ${name}, whom the trust store doesn't know`,
      {
        remedy: 'Sign with a trusted key, or add the certificate that issued this one to the trust store.',
      },
    );
  }
  if (leaf === undefined || !identities.some((identity) => matchesIdentity(leaf.subject, identity))) {
    throw new VerificationError('SIGNATURE_IDENTITY', `The signature is by ${name}, who is no trusted identity`, {
      remedy: 'Sign with the certificate of a trusted identity, or add this one to the identities.',
    });
  }
}

/** By the list that was given: of one trust store very many signatures may be verified. */
const read = new WeakMap<readonly Uint8Array[], readonly Uint8Array[]>();

function anchorsOf(certificates: readonly Uint8Array[]): readonly Uint8Array[] {
  const anchors = read.get(certificates) ?? certificates.map(readAnchor);
  read.set(certificates, anchors);
  return anchors;
}

/** A certificate that issues none and is issued by another vouches for nobody: notation refuses it too. */
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
    remedy: 'Put root or intermediate certificates there, or self-signed signing certificates.',
  });
}
