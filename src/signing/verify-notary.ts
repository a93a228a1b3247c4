import { InconclusiveError, isRecord, VerificationError, type Descriptor } from '../oci/index.js';
import { keyHash, parseCertificate, thumbprint, type CodeSigningCertificate } from './certificate.js';
import { chainProblem, invalidAt } from './certificate-chain.js';
import { invalidSignature, type NotaryEnvelope } from './envelope.js';
import { readCoseEnvelope } from './envelope-cose.js';
import { readJwsEnvelope } from './envelope-jws.js';
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

/** Bytes of a signature envelope; real ones have a few thousand, and 4 MiB of brackets take a second. `SIGNATURE_TOO_LARGE` */
const ENVELOPE_BYTES = 256 * 1024;

export interface VerifyNotaryInput {
  envelope: Uint8Array;
  /** The layer's media type. */
  mediaType: string;
  /** What should have been signed. */
  subject: Descriptor;
  trust: NotaryTrust;
  now: Date;
}

export interface VerifiedSignature {
  /** The signing certificate's subject: `CN=release,O=Example,C=US`. */
  signedBy: string;
  /** As the signer states it; nobody else vouches for it. */
  signingTime: Date;
  /** Of the signing certificate: SHA-256, hex. */
  certificateThumbprint: string;
  /** Of the public key (SubjectPublicKeyInfo): SHA-256, hex. A renewed certificate around the same key has the same. */
  keyHash: string;
  /** What the signer says of the subject (Notary's user metadata), signed with it. */
  metadata: Readonly<Record<string, string>>;
  scheme: string;
  expiry?: Date;
  /** What was left unchecked, to be reported as such: `revocation`, `timestamp`. */
  notChecked: string[];
}

/**
 * Verifies one Notary signature over one subject, as notation does at level strict, revocation apart.
 * @throws VerificationError `SIGNATURE_INVALID`, `SIGNATURE_CERTIFICATE_INVALID`, `SIGNATURE_UNTRUSTED`, `SIGNATURE_IDENTITY`,
 * `SIGNATURE_WRONG_SUBJECT`, `SIGNATURE_EXPIRED`, `SIGNATURE_CERTIFICATE_EXPIRED`: it was checked, and is not good
 * @throws InconclusiveError `SIGNATURE_FORMAT_UNSUPPORTED`, `SIGNATURE_TOO_LARGE`, `SIGNATURE_SCHEME_UNSUPPORTED`,
 * `SIGNATURE_CRITICAL_UNKNOWN`, `SIGNATURE_TIMESTAMP_UNSUPPORTED`: it could not be found out
 * @throws ConfigurationError `TRUST_STORE_INVALID`, `TRUST_IDENTITY_INVALID`
 * @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/trust-store-trust-policy.md#signature-verification
 */
export async function verifyNotary(input: VerifyNotaryInput): Promise<VerifiedSignature> {
  const { subject, trust, now } = input;
  const envelope = readEnvelope(input);
  const chain = readChain(envelope.chain);
  const [leaf] = chain;
  const algorithm = leaf && algorithmOfKey(leaf.publicKey);
  if (leaf === undefined || algorithm === undefined) {
    throw certificateError(`${leaf?.name ?? 'nobody'} has a key that Notary signatures do not know`);
  }
  if (envelope.algorithm !== algorithm) {
    throw invalidSignature(`it says ${envelope.algorithm}, and its key signs with ${algorithm}`);
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
    notChecked: ['revocation', ...(envelope.timestamped ? ['timestamp'] : [])],
  };
}

function readEnvelope({ envelope, mediaType }: VerifyNotaryInput): NotaryEnvelope {
  if (envelope.byteLength > ENVELOPE_BYTES) {
    throw new InconclusiveError(
      'SIGNATURE_TOO_LARGE',
      `The signature's envelope has ${envelope.byteLength} bytes; the most is ${ENVELOPE_BYTES}`,
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
  return new VerificationError('SIGNATURE_CERTIFICATE_INVALID', `The signature's certificates break a rule: ${why}`, {
    remedy: 'Sign with a certificate that is meant for signing code, and its whole chain.',
  });
}

/** The rules on attributes that hold for any signature. @returns the critical ones that are not known here */
function checkAttributes({ contentType, scheme, critical, extended, expiry, ...times }: NotaryEnvelope): string[] {
  if (contentType !== NOTARY_PAYLOAD) throw invalidSignature(`its payload is ${JSON.stringify(contentType)}`);
  const required = new Set([SIGNING_SCHEME]);
  if (expiry !== undefined) required.add(EXPIRY);
  if (scheme === SCHEME_SIGNING_AUTHORITY) required.add(AUTHENTIC_SIGNING_TIME);
  const unknown: string[] = [];
  for (const name of critical) {
    if (required.delete(name)) continue;
    if (!extended.has(name)) throw invalidSignature(`${JSON.stringify(name)} is critical and not there`);
    unknown.push(name);
  }
  const [missing] = required;
  if (missing !== undefined) throw invalidSignature(`${missing} is not marked as critical`);
  const { signingTime, authenticSigningTime } = times;
  if (scheme === SCHEME_X509 && (signingTime === undefined || authenticSigningTime !== undefined)) {
    throw invalidSignature('its scheme wants a signing time, and no authentic one');
  }
  if (scheme === SCHEME_SIGNING_AUTHORITY && (authenticSigningTime === undefined || signingTime !== undefined)) {
    throw invalidSignature('its scheme wants an authentic signing time, and no other');
  }
  const signed = signingTime ?? authenticSigningTime;
  if (expiry !== undefined && signed !== undefined && expiry <= signed) {
    throw invalidSignature('it expires before it is made');
  }
  return unknown;
}

/** @returns the user metadata */
function checkSubject(payload: Uint8Array, subject: Descriptor): Readonly<Record<string, string>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    throw invalidSignature('its payload is not JSON', cause);
  }
  const target = isRecord(value) ? value.targetArtifact : undefined;
  if (!isRecord(target)) throw invalidSignature('its payload names no artifact');
  const { mediaType, digest, size } = target;
  if (mediaType !== subject.mediaType || digest !== subject.digest || size !== subject.size) {
    throw new VerificationError('SIGNATURE_WRONG_SUBJECT', `The signature is not over ${subject.digest}`, {
      details: {
        subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
        signed: JSON.stringify({ mediaType, digest, size }).slice(0, 500),
      },
      remedy: 'Sign the image itself: this signature was made for another one.',
    });
  }
  return metadataOf(target);
}

function metadataOf({ annotations }: Record<string, unknown>): Readonly<Record<string, string>> {
  if (annotations === undefined || annotations === null) return {};
  const entries = isRecord(annotations) ? Object.entries(annotations) : [['', undefined] as const];
  const metadata = entries.flatMap(([key, value]) => (typeof value === 'string' ? [[key, value] as const] : []));
  if (metadata.length !== entries.length) throw invalidSignature('its user metadata is not text by text');
  return Object.fromEntries(metadata);
}

/** What only a known and trusted signer is worth asking. @returns when it was signed */
function decideScheme({ scheme, signingTime }: NotaryEnvelope, unknown: readonly string[]): Date {
  const remedy = 'Sign without plugins, under the scheme notary.x509.';
  if (unknown.length > 0) {
    throw new InconclusiveError(
      'SIGNATURE_CRITICAL_UNKNOWN',
      `The signature has critical attributes that are not understood here: ${JSON.stringify(unknown).slice(0, 500)}`,
      { remedy },
    );
  }
  // Signing authorities want a trust store of their own kind, which there is none of.
  if (scheme !== SCHEME_X509 || signingTime === undefined) {
    throw new InconclusiveError(
      'SIGNATURE_SCHEME_UNSUPPORTED',
      `The signature is made under the scheme ${JSON.stringify(scheme.slice(0, 200))}`,
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
  // A timestamp could show that it was signed in time.
  if (then === undefined && timestamped && now > outside.validTo) {
    throw new InconclusiveError(
      'SIGNATURE_TIMESTAMP_UNSUPPORTED',
      `The certificate ${when}, and the signature's timestamp cannot be checked`,
      { remedy: 'Sign the image again with a certificate that is valid.' },
    );
  }
  throw new VerificationError(
    'SIGNATURE_CERTIFICATE_EXPIRED',
    then === undefined
      ? `The certificate ${when}`
      : `It was signed at ${signingTime.toISOString()}, and the certificate ${when}`,
    { remedy: 'Sign the image again with a certificate that is valid.' },
  );
}
