import { createHash, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate as AsnCertificate,
  ExtendedKeyUsage,
  id_ce_basicConstraints,
  id_ce_certificatePolicies,
  id_ce_cRLDistributionPoints,
  id_ce_extKeyUsage,
  id_ce_inhibitAnyPolicy,
  id_ce_keyUsage,
  id_ce_nameConstraints,
  id_ce_policyConstraints,
  id_ce_policyMappings,
  id_ce_subjectAltName,
  KeyUsage,
  NameConstraints,
  SubjectAlternativeName,
  type Extension,
  type GeneralName,
  type KeyUsageType,
} from '@peculiar/asn1-x509';
import { ConfigurationError, InputError, remember } from '../oci/index.js';
import { formatName, readName, type DistinguishedName } from './distinguished-name.js';

/** Maximum bytes of one certificate. `SIGNATURE_INVALID`, `CERTIFICATE_INVALID`, `CERTIFICATE_UNREADABLE` */
export const CERTIFICATE_BYTES = 64 * 1024;
/** Maximum certificates in one PEM file, such as a trust store. `CERTIFICATE_UNREADABLE` */
const MOST_PEM_CERTIFICATES = 1000;

/** An X.509 certificate and the fields that Notary's rules use. */
export interface CodeSigningCertificate {
  der: Uint8Array;
  x509: X509Certificate;
  publicKey: KeyObject;
  subject: DistinguishedName;
  /** The subject as a string (RFC 4514). */
  name: string;
  keyUsage?: { critical: boolean; usages: readonly KeyUsageType[] };
  /** OIDs. */
  extendedKeyUsage?: readonly string[];
  basicConstraints?: { ca: boolean; pathLength?: number };
  /** True if it is signed with SHA-2 or Ed25519. */
  soundlySigned: boolean;
  /** DER of the subject and issuer. As in Go, the same name in another encoding is a different name. */
  subjectDer: Uint8Array;
  issuerDer: Uint8Array;
  /** OIDs of critical extensions that are not supported or must not be critical. */
  unhandledCritical: readonly string[];
  /** True if the certificate has a subject alternative name. Name constraints are not compared with that name. */
  hasAlternativeName: boolean;
  hasNameConstraints: boolean;
}

/** SHA-256 of a certificate's DER, in lower-case hex. */
export function thumbprint(certificate: Uint8Array): string {
  return createHash('sha256').update(certificate).digest('hex');
}

/**
 * SHA-256 of a certificate's public key (SubjectPublicKeyInfo, DER), in lower-case hex. A certificate may encode its
 * key in several ways (a compressed EC point), so the usual encoding is hashed.
 * @throws InputError `CERTIFICATE_INVALID`
 */
export function keyHash(certificate: Uint8Array): string {
  const jwk = parseCertificate(certificate).publicKey.export({ format: 'jwk' });
  const spki = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

/**
 * Parses the certificates in a PEM text, in order, as DER. Keys are skipped.
 * @throws ConfigurationError `CERTIFICATE_UNREADABLE` if there is none, more than MOST_PEM_CERTIFICATES, or a malformed
 *   one
 */
export function readCertificates(pem: string): Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw unreadable('there is no PEM certificate');
  if (blocks.length > MOST_PEM_CERTIFICATES) throw unreadable(`there are more than ${MOST_PEM_CERTIFICATES}`);
  return blocks.map((block, index) => {
    try {
      return parseCertificate(new X509Certificate(block).raw).der;
    } catch {
      throw unreadable(`certificate ${index + 1} is malformed`);
    }
  });
}

function unreadable(why: string): ConfigurationError {
  return new ConfigurationError('CERTIFICATE_UNREADABLE', `The certificates cannot be read: ${why}`, {
    remedy: 'Provide one or more X.509 certificates as PEM (-----BEGIN CERTIFICATE-----).',
  });
}

/** The certificates parsed last, by thumbprint. A few certificates sign almost everything, and parsing takes most of a verification. */
const parsed = new Map<string, CodeSigningCertificate>();
const MOST_PARSED = 100;

/**
 * Parses a certificate.
 * @throws InputError `CERTIFICATE_INVALID` if the bytes are not exactly one certificate
 */
export function parseCertificate(der: Uint8Array): CodeSigningCertificate {
  if (der.byteLength > CERTIFICATE_BYTES) {
    throw new InputError('CERTIFICATE_INVALID', `a certificate is larger than ${CERTIFICATE_BYTES} bytes`);
  }
  const key = thumbprint(der);
  const certificate = parsed.get(key) ?? parseNew(der);
  remember(parsed, key, certificate, MOST_PARSED);
  return certificate;
}

function parseNew(der: Uint8Array): CodeSigningCertificate {
  try {
    const x509 = new X509Certificate(der);
    // Node also accepts PEM and ignores bytes after the end.
    if (!x509.raw.equals(der)) throw new TypeError('the bytes are not exactly one certificate');
    return { der: x509.raw, x509, publicKey: x509.publicKey, ...readRules(x509.raw) };
  } catch (cause) {
    throw new InputError('CERTIFICATE_INVALID', 'a certificate is not well-formed DER', { cause });
  }
}

function readRules(der: Uint8Array): Omit<CodeSigningCertificate, 'der' | 'x509' | 'publicKey'> {
  const asn = AsnConvert.parse(der, AsnCertificate);
  const { tbsCertificate: tbs, signatureAlgorithm } = asn;
  const extensions = tbs.extensions ?? [];
  const ids = new Set(extensions.map(({ extnID }) => extnID));
  // RFC 5280, section 4.2, forbids an extension that occurs twice.
  if (ids.size !== extensions.length) throw new TypeError('an extension occurs twice');
  const extension = (id: string) => extensions.find(({ extnID }) => extnID === id);
  const usage = extension(id_ce_keyUsage);
  const extendedUsage = extension(id_ce_extKeyUsage);
  const constraints = extension(id_ce_basicConstraints);
  const basic = constraints && AsnConvert.parse(constraints.extnValue.buffer, BasicConstraints);
  const subject = readName(tbs.subject);
  return {
    subject,
    name: formatName(subject),
    ...(usage !== undefined && {
      keyUsage: { critical: usage.critical, usages: AsnConvert.parse(usage.extnValue.buffer, KeyUsage).toJSON() },
    }),
    ...(extendedUsage !== undefined && {
      extendedKeyUsage: [...AsnConvert.parse(extendedUsage.extnValue.buffer, ExtendedKeyUsage)],
    }),
    ...(basic !== undefined && {
      basicConstraints: {
        ca: basic.cA,
        ...(basic.pathLenConstraint !== undefined && { pathLength: basic.pathLenConstraint }),
      },
    }),
    soundlySigned: isSound(signatureAlgorithm.algorithm, signatureAlgorithm.parameters),
    subjectDer: new Uint8Array(AsnConvert.serialize(tbs.subject)),
    issuerDer: new Uint8Array(AsnConvert.serialize(tbs.issuer)),
    unhandledCritical: extensions.flatMap((each) => (each.critical && !isHandled(each) ? [each.extnID] : [])),
    hasAlternativeName: extension(id_ce_subjectAltName) !== undefined,
    hasNameConstraints: extension(id_ce_nameConstraints) !== undefined,
  };
}

/**
 * Critical extensions that Go's crypto/x509 supports. Key identifiers and authority access are not in the list: RFC
 * 5280 says that they are not critical, and Go cannot parse such a certificate.
 * @see https://github.com/golang/go/blob/go1.24.0/src/crypto/x509/parser.go processExtensions
 */
const HANDLED: ReadonlySet<string> = new Set([
  id_ce_keyUsage,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_cRLDistributionPoints,
  id_ce_certificatePolicies,
  id_ce_policyMappings,
  id_ce_policyConstraints,
  id_ce_inhibitAnyPolicy,
]);

function isHandled({ extnID, extnValue }: Extension): boolean {
  if (HANDLED.has(extnID)) return true;
  if (extnID === id_ce_subjectAltName) {
    return AsnConvert.parse(extnValue.buffer, SubjectAlternativeName).some(isComparable);
  }
  if (extnID === id_ce_nameConstraints) {
    const { permittedSubtrees, excludedSubtrees } = AsnConvert.parse(extnValue.buffer, NameConstraints);
    const subtrees = [...(permittedSubtrees ?? []), ...(excludedSubtrees ?? [])];
    return subtrees.length > 0 && subtrees.every(({ base }) => isComparable(base));
  }
  return false;
}

/** True for the kinds of names that Go reads. */
function isComparable({ dNSName, rfc822Name, iPAddress, uniformResourceIdentifier }: GeneralName): boolean {
  return [dNSName, rfc822Name, iPAddress, uniformResourceIdentifier].some((name) => name !== undefined);
}

const RSA_PSS = '1.2.840.113549.1.1.10';
const SOUND_SIGNATURES: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12', // sha384WithRSAEncryption
  '1.2.840.113549.1.1.13', // sha512WithRSAEncryption
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3', // ecdsa-with-SHA384
  '1.2.840.10045.4.3.4', // ecdsa-with-SHA512
  '1.3.101.112', // Ed25519
]);
/** DER of the OIDs of SHA-256, SHA-384 and SHA-512, without the last byte, in which they differ. */
const SHA2 = Buffer.from('0609608648016503040200', 'hex').subarray(0, 10);

function isSound(algorithm: string, parameters: ArrayBuffer | null | undefined): boolean {
  if (algorithm !== RSA_PSS) return SOUND_SIGNATURES.has(algorithm);
  // The default of PSS is SHA-1, so the hash and the mask function must both name SHA-2.
  const bytes = Buffer.from(parameters ?? new ArrayBuffer(0));
  const first = bytes.indexOf(SHA2);
  return first >= 0 && bytes.indexOf(SHA2, first + SHA2.length) >= 0;
}
