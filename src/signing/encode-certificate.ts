import { randomBytes, type KeyObject } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_kp_codeSigning,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { ConfigurationError } from '../oci/index.js';
import type { SubjectAttribute } from './subject.js';

// Builds certificates and certificate requests in DER. They are signed with SHA-256: ECDSA for EC keys, PKCS #1 v1.5
// for RSA keys, which every authority can read. Only signatures over images need PSS.

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const RSA_SHA256 = '1.2.840.113549.1.1.11';
const DAY_MS = 86_400_000;
/** A country is a PrintableString (RFC 5280, appendix A). */
const COUNTRY = '2.5.4.6';
/** PKCS #9 attribute for the extensions that a request asks for. */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/** Validity of a certificate. */
export interface CertificateTimes {
  /** Start of validity. Default: one hour ago, because clocks differ. */
  notBefore?: Date;
  /** Days of validity, 1 to 36,500. */
  days: number;
}

function algorithmFor(publicKey: KeyObject): AlgorithmIdentifier {
  return publicKey.asymmetricKeyType === 'rsa'
    ? new AlgorithmIdentifier({ algorithm: RSA_SHA256, parameters: null })
    : new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
}

/**
 * The part of a self-signed certificate that is signed.
 * @throws ConfigurationError `SIGNING_CERTIFICATE_INVALID` if `days` is out of range
 */
export function toBeSigned(
  publicKey: KeyObject,
  subject: readonly SubjectAttribute[],
  { days, notBefore = new Date(Date.now() - 3_600_000) }: CertificateTimes,
): TBSCertificate {
  if (!(Number.isInteger(days) && days >= 1 && days <= 36_500)) {
    throw new ConfigurationError('SIGNING_CERTIFICATE_INVALID', `A certificate cannot be valid for ${days} days`, {
      remedy: 'Give a whole number of days from 1 to 36500.',
    });
  }
  const name = nameOf(subject);
  const start = new Date(Math.floor(notBefore.getTime() / 1000) * 1000);
  return new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithmFor(publicKey),
    issuer: name,
    subject: name,
    validity: new Validity({ notBefore: start, notAfter: new Date(start.getTime() + days * DAY_MS) }),
    subjectPublicKeyInfo: AsnConvert.parse(spkiOf(publicKey), SubjectPublicKeyInfo),
    extensions: signingExtensions(),
  });
}

/** Encodes a value in DER. */
export function bytesOf(value: object): Buffer {
  return Buffer.from(AsnConvert.serialize(value));
}

/** A signed certificate as PEM. */
export function certificatePem(tbsCertificate: TBSCertificate, signature: Uint8Array): string {
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: tbsCertificate.signature,
    signatureValue: Uint8Array.from(signature).buffer,
  });
  return pem('CERTIFICATE', bytesOf(certificate));
}

/**
 * The part of a certificate request that is signed, `CertificationRequestInfo`.
 * @see https://www.rfc-editor.org/rfc/rfc2986#section-4.1
 */
export function requestInfo(publicKey: KeyObject, subject: readonly SubjectAttribute[]): Buffer {
  const extensions = der(0x30, objectId(EXTENSION_REQUEST), der(0x31, bytesOf(signingExtensions())));
  return der(0x30, der(0x02, Buffer.from([0])), bytesOf(nameOf(subject)), spkiOf(publicKey), der(0xa0, extensions));
}

/** A signed certificate request as PEM. */
export function requestPem(publicKey: KeyObject, info: Buffer, signature: Uint8Array): string {
  const bits = der(0x03, Buffer.from([0]), Buffer.from(signature));
  return pem('CERTIFICATE REQUEST', der(0x30, info, bytesOf(algorithmFor(publicKey)), bits));
}

/** The extensions that Notary requires in a signing certificate, and no other. */
function signingExtensions(): Extensions {
  return new Extensions([
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_codeSigning])),
  ]);
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function nameOf(subject: readonly SubjectAttribute[]): Name {
  return new Name(
    subject.map(({ oid, value }) => {
      const encoded = new AttributeValue(oid === COUNTRY ? { printableString: value } : { utf8String: value });
      return new RelativeDistinguishedName([new AttributeTypeAndValue({ type: oid, value: encoded })]);
    }),
  );
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** A random positive number of exactly 16 bytes. */
function serialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.buffer;
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const hex = length.toString(16);
  const long = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  const header = length < 0x80 ? Buffer.from([tag, length]) : Buffer.from([tag, 0x80 | long.length, ...long]);
  return Buffer.concat([header, content]);
}

function objectId(oid: string): Buffer {
  // An AlgorithmIdentifier without parameters is a sequence with only the OID, so its header is cut off.
  return bytesOf(new AlgorithmIdentifier({ algorithm: oid })).subarray(2);
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
