import { InconclusiveError, isRecord, VerificationError, type Descriptor } from '../oci/index.js';
import { keyHash, parseCertificate, thumbprint, type CodeSigningCertificate } from './certificate.js';
import { chainProblem, invalidAt } from './certificate-chain.js';
import { invalidSignature, readJson, type NotaryEnvelope } from './envelope.js';
import { readCoseEnvelope } from './read-cose-envelope.js';
import { readJwsEnvelope } from './read-jws-envelope.js';
import {
  AUTHENTIC_SIGNING_TIME,
  EXPIRY,
  NOTARY_COSE,
  NOTARY_JWS,
  NOTARY_PAYLOAD,
  SCHEME_SIGNING_AUTHORITY,
  SCHEME_X509,
  SIGNING_SCHEME,
} from './notary-format.js';
import { algorithmOfKey } from './signature-algorithm.js';
import { checkTrust, type NotaryTrust } from './trust.js';

/**
 * Maximum bytes of a signature envelope. Real ones have a few thousand; parsing 4 MiB of brackets takes a second.
 * `SIGNATURE_TOO_LARGE`
 */
const ENVELOPE_BYTES = 256 * 1024;

/** A signature and what it must be for. */
export interface VerifyNotaryInput {
  envelope: Uint8Array;
  /** The layer's media type. */
  mediaType: string;
  /** The expected subject of the signature. */
  subject: Descriptor;
  trust: NotaryTrust;
  now: Date;
}

/** A valid signature. */
export interface VerifiedSignature {
  /** The signing certificate's subject: `CN=release,O=Example,C=US`. */
  signedBy: string;
  /** The time that the signer states. It is not confirmed by anybody else. */
  signingTime: Date;
  /** SHA-256 of the signing certificate, hex. */
  certificateThumbprint: string;
  /**
   * SHA-256 of the public key (SubjectPublicKeyInfo), hex. It stays the same when the certificate is renewed for the
   * same key.
   */
  keyHash: string;
  /** The signer's statements about the subject (Notary's user metadata), which are part of the signature. */
  metadata: Readonly<Record<string, string>>;
  scheme: string;
  expiry?: Date;
}

/**
 * Verifies a Notary signature over a subject, like notation at level strict but without revocation.
 * @throws VerificationError `SIGNATURE_INVALID`, `SIGNATURE_CERTIFICATE_INVALID`, `SIGNATURE_UNTRUSTED`,
 *   `SIGNATURE_IDENTITY`, `SIGNATURE_WRONG_SUBJECT`, `SIGNATURE_EXPIRED`, `SIGNATURE_CERTIFICATE_EXPIRED`: the signature
 *   was checked and is not valid
 * @throws InconclusiveError `SIGNATURE_FORMAT_UNSUPPORTED`, `SIGNATURE_TOO_LARGE`, `SIGNATURE_SCHEME_UNSUPPORTED`,
 *   `SIGNATURE_CRITICAL_UNKNOWN`, `SIGNATURE_TIMESTAMP_UNSUPPORTED`: the signature could not be checked
 * @throws ConfigurationError `TRUST_STORE_INVALID`, `TRUST_IDENTITY_INVALID`
 * @see
 *   https://github.com/notaryproject/specifications/blob/v1.1.0/specs/trust-store-trust-policy.md#signature-verification
 */
export async function verifyNotary(input: VerifyNotaryInput): Promise<VerifiedSignature> {
  const { subject, trust, now } = input;
  const envelope = readEnvelope(input);
  const chain = readChain(envelope.chain);
  const [leaf] = chain;
  const algorithm = leaf && algorithmOfKey(leaf.publicKey);
  if (leaf === undefined || algorithm === undefined) {
    throw certificateError(`${leaf?.name ?? 'nobody'} has a key of a kind that Notary signatures do not allow`);
  }
  if (envelope.algorithm !== algorithm) {
    throw invalidSignature(`it states ${envelope.algorithm}, but its key signs with ${algorithm}`);
  }
  const payload = await envelope.open(leaf.publicKey, algorithm);
  if (payload === undefined) throw invalidSignature('its bytes are not what was signed');

  const unknown = checkAttributes(envelope);
  const problem = chainProblem(chain);
  if (problem !== undefined) throw certificateError(problem);
  checkTrust(chain, trust);
  const metadata = checkSubject(payload, subject);
  const signingTime = decideScheme(envelope, unknown);
  checkTimes(envelope, chain, signingTime, now);
  return {
    signedBy: leaf.name,
    signingTime,
    certificateThumbprint: thumbprint(leaf.der),
    keyHash: keyHash(leaf.der),
    metadata,
    scheme: envelope.scheme,
    ...(envelope.expiry !== undefined && { expiry: envelope.expiry }),
  };
}

function readEnvelope({ envelope, mediaType }: VerifyNotaryInput): NotaryEnvelope {
  if (envelope.byteLength > ENVELOPE_BYTES) {
    throw new InconclusiveError(
      'SIGNATURE_TOO_LARGE',
      `The signature's envelope has ${envelope.byteLength} bytes; the maximum is ${ENVELOPE_BYTES}`,
    );
  }
  switch (mediaType) {
    case NOTARY_JWS:
      return readJwsEnvelope(envelope);
    case NOTARY_COSE:
      return readCoseEnvelope(envelope);
    default:
      throw new InconclusiveError(
        'SIGNATURE_FORMAT_UNSUPPORTED',
        `The signature's envelope is ${JSON.stringify(mediaType.slice(0, 200))}, which cannot be read`,
        { remedy: 'Sign with the JWS or the COSE envelope.' },
      );
  }
}

function readChain(chain: readonly Uint8Array[]): CodeSigningCertificate[] {
  try {
    return chain.map((der) => parseCertificate(der));
  } catch (cause) {
    throw invalidSignature('its certificate chain is malformed', cause);
  }
}

function certificateError(why: string): VerificationError {
  return new VerificationError('SIGNATURE_CERTIFICATE_INVALID', `The signature's certificates are not valid: ${why}`, {
    remedy: 'Sign with a code-signing certificate and its whole chain.',
  });
}

/**
 * Checks the rules for attributes that apply to every signature.
 * @returns the critical attributes that are not supported
 */
function checkAttributes({ contentType, scheme, critical, extended, expiry, ...times }: NotaryEnvelope): string[] {
  if (contentType !== NOTARY_PAYLOAD) throw invalidSignature(`its payload has the type ${JSON.stringify(contentType)}`);
  const required = new Set([SIGNING_SCHEME]);
  if (expiry !== undefined) required.add(EXPIRY);
  if (scheme === SCHEME_SIGNING_AUTHORITY) required.add(AUTHENTIC_SIGNING_TIME);
  const unknown: string[] = [];
  for (const name of critical) {
    if (required.delete(name)) continue;
    if (!extended.has(name)) throw invalidSignature(`${JSON.stringify(name)} is critical but missing`);
    unknown.push(name);
  }
  const [missing] = required;
  if (missing !== undefined) throw invalidSignature(`${missing} is not marked as critical`);
  const { signingTime, authenticSigningTime } = times;
  if (scheme === SCHEME_X509 && (signingTime === undefined || authenticSigningTime !== undefined)) {
    throw invalidSignature('its scheme requires a signing time and no authentic signing time');
  }
  if (scheme === SCHEME_SIGNING_AUTHORITY && (authenticSigningTime === undefined || signingTime !== undefined)) {
    throw invalidSignature('its scheme requires an authentic signing time and no signing time');
  }
  const signed = signingTime ?? authenticSigningTime;
  if (expiry !== undefined && signed !== undefined && expiry <= signed) {
    throw invalidSignature('it expires before its signing time');
  }
  return unknown;
}

/**
 * Checks that the payload names the subject.
 * @returns the user metadata
 */
function checkSubject(payload: Uint8Array, subject: Descriptor): Readonly<Record<string, string>> {
  const target = readJson(payload, 'its payload').targetArtifact;
  if (!isRecord(target)) throw invalidSignature('its payload names no artifact');
  const { mediaType, digest, size } = target;
  if (mediaType !== subject.mediaType || digest !== subject.digest || size !== subject.size) {
    throw new VerificationError(
      'SIGNATURE_WRONG_SUBJECT',
      `The signature is for another subject than ${subject.digest}`,
      {
        details: {
          subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
          signed: JSON.stringify({ mediaType, digest, size }).slice(0, 500),
        },
        remedy: 'Sign this image: the signature was made for another one.',
      },
    );
  }
  return metadataOf(target);
}

function metadataOf({ annotations }: Record<string, unknown>): Readonly<Record<string, string>> {
  if (annotations === undefined || annotations === null) return {};
  const entries = isRecord(annotations) ? Object.entries(annotations) : [['', undefined] as const];
  const metadata = entries.flatMap(([key, value]) => (typeof value === 'string' ? [[key, value] as const] : []));
  if (metadata.length !== entries.length) throw invalidSignature('its user metadata is not a map of strings');
  return Object.fromEntries(metadata);
}

/**
 * Checks what is reported only for a trusted signer: unsupported attributes and schemes.
 * @returns the time of signing
 */
function decideScheme({ scheme, signingTime }: NotaryEnvelope, unknown: readonly string[]): Date {
  const remedy = 'Sign without plugins, under the scheme notary.x509.';
  if (unknown.length > 0) {
    throw new InconclusiveError(
      'SIGNATURE_CRITICAL_UNKNOWN',
      `The signature has critical attributes that are not supported: ${JSON.stringify(unknown).slice(0, 500)}`,
      { remedy },
    );
  }
  // Signing authorities need a trust store of another type, which is not supported.
  if (scheme !== SCHEME_X509 || signingTime === undefined) {
    throw new InconclusiveError(
      'SIGNATURE_SCHEME_UNSUPPORTED',
      `The signature uses the unsupported scheme ${JSON.stringify(scheme.slice(0, 200))}`,
      { remedy },
    );
  }
  return signingTime;
}

/** @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#other-requirements */
function checkTimes(
  { expiry, timestamped }: NotaryEnvelope,
  chain: readonly CodeSigningCertificate[],
  signingTime: Date,
  now: Date,
): void {
  if (expiry !== undefined && now >= expiry) {
    throw new VerificationError('SIGNATURE_EXPIRED', `The signature expired at ${expiry.toISOString()}`, {
      remedy: 'Sign the image again.',
    });
  }
  const then = invalidAt(chain, signingTime);
  const today = invalidAt(chain, now);
  const outside = then ?? today;
  if (outside === undefined) return;
  const when = `${outside.name} is valid from ${outside.validFrom.toISOString()} to ${outside.validTo.toISOString()}`;
  // A timestamp could prove that it was signed before the certificate expired.
  if (then === undefined && timestamped && now > outside.validTo) {
    throw new InconclusiveError(
      'SIGNATURE_TIMESTAMP_UNSUPPORTED',
      `The certificate ${when}, and the timestamp of the signature cannot be checked`,
      { remedy: 'Sign the image again with a certificate that is valid.' },
    );
  }
  throw new VerificationError(
    'SIGNATURE_CERTIFICATE_EXPIRED',
    then === undefined
      ? `The certificate ${when}`
      : `The image was signed at ${signingTime.toISOString()}, and the certificate ${when}`,
    { remedy: 'Sign the image again with a certificate that is valid.' },
  );
}
