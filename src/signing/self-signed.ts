import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
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

export interface SelfSignedOptions {
  commonName: string;
  /** Two letters. notation's trust policy can name a subject only where country, state and organization are there. */
  country?: string;
  state?: string;
  organization?: string;
  /** An hour ago as it comes, so that clocks may differ. */
  notBefore?: Date;
  /** How long it is valid, 1 to 36,500. */
  days: number;
}

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const DAY_MS = 86_400_000;

/**
 * A new EC P-256 key and a certificate for it, with the usages that Notary wants: for local use.
 * @throws ConfigurationError `SIGNING_CERTIFICATE_INVALID` for options that make no certificate
 */
export function createSelfSignedCertificate(options: SelfSignedOptions): { keyPem: string; certificatePem: string } {
  const { days, notBefore = new Date(Date.now() - 3_600_000) } = options;
  if (!(Number.isInteger(days) && days >= 1 && days <= 36_500)) {
    throw new ConfigurationError('SIGNING_CERTIFICATE_INVALID', `A certificate cannot be valid for ${days} days`, {
      remedy: 'Give a whole number of days from 1 to 36500.',
    });
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const name = subjectOf(options);
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const start = new Date(Math.floor(notBefore.getTime() / 1000) * 1000);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: name,
    subject: name,
    validity: new Validity({ notBefore: start, notAfter: new Date(start.getTime() + days * DAY_MS) }),
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions([
      extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
      extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
      extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_codeSigning])),
    ]),
  });
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), privateKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: Uint8Array.from(signature).buffer,
  });
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: pem(Buffer.from(AsnConvert.serialize(certificate))),
  };
}

function subjectOf({ country, state, organization, commonName }: SelfSignedOptions): Name {
  return new Name([
    // RFC 5280, appendix A: a country is a PrintableString.
    ...(country === undefined ? [] : [attribute('2.5.4.6', new AttributeValue({ printableString: country }))]),
    ...(state === undefined ? [] : [attribute('2.5.4.8', utf8(state))]),
    ...(organization === undefined ? [] : [attribute('2.5.4.10', utf8(organization))]),
    attribute('2.5.4.3', utf8(commonName)),
  ]);
}

function attribute(type: string, value: AttributeValue): RelativeDistinguishedName {
  return new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
}

function utf8(text: string): AttributeValue {
  return new AttributeValue({ utf8String: text });
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** Positive, and 16 bytes whatever chance brings. */
function serialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.buffer;
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
