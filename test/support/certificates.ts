import { createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
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
  GeneralName,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { rsaKey } from './rsa-key.js';

export interface Issued {
  der: Uint8Array;
  pem: string;
  key: KeyObject;
  keyPem: string;
  name: Name;
}

export interface IssueOptions {
  /** `[OID, value]`; an OID's second value goes into a part of its own. */
  subject?: [string, string][];
  key?:
    | 'P-256'
    | 'P-384'
    | 'P-521'
    | 'secp256k1'
    | 'RSA-1024'
    | 'RSA-2048'
    | 'RSA-3072'
    | 'RSA-4096'
    | 'Ed25519'
    | KeyObject;
  /** The public key in its other encoding: the point of an EC key compressed. */
  compressed?: boolean;
  /** Self-signed where there is none. */
  issuer?: Issued;
  /** Adds the basic constraints of an authority, or of none; left out where undefined. */
  ca?: boolean;
  pathLength?: number;
  /** 0 leaves the extension out. */
  keyUsage?: number;
  keyUsageCritical?: boolean;
  extendedKeyUsage?: string[];
  /** Hosts that it is for. */
  dnsNames?: string[];
  /** Further extensions: OID, whether critical, DER in hex. */
  extensions?: [string, boolean, string][];
  /** Of the names in the certificate: UTF8String by default. */
  encoding?: 'utf8String' | 'printableString';
  notBefore?: Date;
  notAfter?: Date;
  hash?: 'sha256' | 'sha1';
}

export const CN = '2.5.4.3';
export const O = '2.5.4.10';
export const OU = '2.5.4.11';
export const SIGN = KeyUsageFlags.digitalSignature;
export const CERT_SIGN = KeyUsageFlags.keyCertSign;
export const NOW = new Date('2026-06-01T12:00:00.000Z');
const YEAR_MS = 365 * 86_400_000;

/** Makes any certificate, good or bad: what notation or openssl would not make is what the rules are for. */
export function issue(options: IssueOptions = {}): Issued {
  const { issuer, hash = 'sha256', subject = [[CN, `test ${randomBytes(4).toString('hex')}`]] } = options;
  const key = typeof options.key === 'object' ? options.key : makeKey(options.key ?? 'P-256');
  const name = nameOf(subject, options.encoding);
  const signingKey = issuer?.key ?? key;
  const algorithm = new AlgorithmIdentifier(signatureAlgorithm(signingKey, hash));
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.from([1, ...randomBytes(8)]).buffer,
    signature: algorithm,
    issuer: issuer?.name ?? name,
    subject: name,
    validity: new Validity({
      notBefore: options.notBefore ?? new Date(NOW.getTime() - YEAR_MS),
      // Long, since notation knows no other clock than the machine's.
      notAfter: options.notAfter ?? new Date(NOW.getTime() + 90 * YEAR_MS),
    }),
    subjectPublicKeyInfo: spkiOf(key, options.compressed),
    extensions: new Extensions(extensionsOf(options)),
  });
  const tbs = Buffer.from(AsnConvert.serialize(tbsCertificate));
  const signature = sign(signingKey.asymmetricKeyType === 'ed25519' ? null : hash, tbs, signingKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: Uint8Array.from(signature).buffer,
  });
  const der = Buffer.from(AsnConvert.serialize(certificate));
  return { der, pem: toPem(der), key, keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(), name };
}

/** An authority that may issue. */
export function issueAuthority(options: IssueOptions = {}): Issued {
  return issue({ ca: true, keyUsage: CERT_SIGN, ...options });
}

/** A signing certificate, its issuer and that one's, leaf first. */
export function issueChain(leaf: IssueOptions = {}): [Issued, Issued, Issued] {
  const root = issueAuthority({ subject: [[CN, 'root']] });
  const intermediate = issueAuthority({ subject: [[CN, 'intermediate']], issuer: root, pathLength: 0 });
  return [
    issue({
      subject: [
        [O, 'Example'],
        [CN, 'leaf'],
      ],
      issuer: intermediate,
      ...leaf,
    }),
    intermediate,
    root,
  ];
}

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function spkiOf(key: KeyObject, compressed = false): SubjectPublicKeyInfo {
  const spki = AsnConvert.parse(createPublicKey(key).export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
  if (!compressed) return spki;
  const point = Buffer.from(spki.subjectPublicKey);
  const half = point.subarray(1, 1 + (point.length - 1) / 2);
  const sign = 2 + ((point.at(-1) ?? 0) & 1);
  spki.subjectPublicKey = Uint8Array.from([sign, ...half]).buffer;
  return spki;
}

function makeKey(kind: Exclude<IssueOptions['key'], KeyObject | undefined>): KeyObject {
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519').privateKey;
  const [type, size] = kind.split('-');
  if (type === 'RSA') return rsaKey(Number(size));
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
}

function nameOf(subject: [string, string][], encoding: NonNullable<IssueOptions['encoding']> = 'utf8String'): Name {
  return new Name(
    subject.map(
      ([type, value]) =>
        new RelativeDistinguishedName([
          new AttributeTypeAndValue({ type, value: new AttributeValue({ [encoding]: value }) }),
        ]),
    ),
  );
}

function signatureAlgorithm(key: KeyObject, hash: 'sha256' | 'sha1'): { algorithm: string; parameters?: null } {
  const { asymmetricKeyType: type } = key;
  if (type === 'ed25519') return { algorithm: '1.3.101.112' };
  if (type === 'rsa') {
    return { algorithm: hash === 'sha256' ? '1.2.840.113549.1.1.11' : '1.2.840.113549.1.1.5', parameters: null };
  }
  return { algorithm: hash === 'sha256' ? '1.2.840.10045.4.3.2' : '1.2.840.10045.4.1' };
}

function extensionsOf({ ca, pathLength, keyUsage = SIGN, ...options }: IssueOptions): Extension[] {
  return [
    ...(ca === undefined
      ? []
      : [
          extension(
            '2.5.29.19',
            true,
            new BasicConstraints({ cA: ca, ...(pathLength !== undefined && { pathLenConstraint: pathLength }) }),
          ),
        ]),
    ...(keyUsage === 0 ? [] : [extension('2.5.29.15', options.keyUsageCritical ?? true, new KeyUsage(keyUsage))]),
    ...(options.extendedKeyUsage === undefined
      ? []
      : [extension('2.5.29.37', false, new ExtendedKeyUsage(options.extendedKeyUsage))]),
    ...(options.dnsNames === undefined
      ? []
      : [
          extension(
            '2.5.29.17',
            false,
            new SubjectAlternativeName(options.dnsNames.map((dNSName) => new GeneralName({ dNSName }))),
          ),
        ]),
    ...(options.extensions ?? []).map(
      ([extnID, critical, der]) =>
        new Extension({ extnID, critical, extnValue: new OctetString(Buffer.from(der, 'hex')) }),
    ),
  ];
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}
