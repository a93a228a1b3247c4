import { errors, flattenedVerify } from 'jose';
import { isRecord } from '../oci/index.js';
import { invalidSignature, type NotaryEnvelope, MOST_CRITICAL_ATTRIBUTES } from './envelope.js';
import { AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE } from './notary-format.js';
import { MOST_CHAIN_CERTIFICATES } from './certificate-chain.js';
import { CERTIFICATE_BYTES } from './certificate.js';

const STANDARD: ReadonlySet<string> = new Set([
  'alg',
  'cty',
  'crit',
  SIGNING_SCHEME,
  SIGNING_TIME,
  AUTHENTIC_SIGNING_TIME,
  EXPIRY,
]);
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * Parses an envelope in the flattened JWS serialization.
 * @throws VerificationError `SIGNATURE_INVALID`
 * @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-envelope-jws.md
 */
export function readJwsEnvelope(bytes: Uint8Array): NotaryEnvelope {
  const envelope = readJson(bytes, 'the envelope');
  const { payload, signature, header } = envelope;
  const encodedHeader = envelope.protected;
  if (!isBase64Url(payload) || !isBase64Url(signature) || !isBase64Url(encodedHeader) || !isRecord(header)) {
    throw invalidSignature('payload, protected, header or signature are missing or malformed');
  }
  const attributes = readJson(Buffer.from(encodedHeader, 'base64url'), 'the protected header');
  const { alg, cty } = attributes;
  const scheme = attributes[SIGNING_SCHEME];
  if (typeof alg !== 'string' || typeof cty !== 'string' || typeof scheme !== 'string') {
    throw invalidSignature('algorithm, content type or signing scheme is missing');
  }
  const critical = readCritical(attributes.crit);
  const signingTime = readTime(attributes, SIGNING_TIME);
  const authenticSigningTime = readTime(attributes, AUTHENTIC_SIGNING_TIME);
  const expiry = readTime(attributes, EXPIRY);
  return {
    chain: readChain(header.x5c),
    algorithm: alg,
    contentType: cty,
    scheme,
    ...(signingTime !== undefined && { signingTime }),
    ...(authenticSigningTime !== undefined && { authenticSigningTime }),
    ...(expiry !== undefined && { expiry }),
    critical,
    extended: new Set(Object.keys(attributes).filter((name) => !STANDARD.has(name))),
    timestamped: header[TIMESTAMP_SIGNATURE] !== undefined,
    open: async (key, algorithm) => {
      try {
        // Here all critical attributes count as supported. Unsupported ones are reported later, after the signer is
        // known.
        const understood = Object.fromEntries(critical.map((name) => [name, true] as const));
        const jws = { payload, protected: encodedHeader, signature };
        return (await flattenedVerify(jws, key, { algorithms: [algorithm], crit: understood })).payload;
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
  };
}

function readJson(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalidSignature(`${what} is not JSON`, cause);
  }
  if (!isRecord(value)) throw invalidSignature(`${what} is not a JSON object`);
  return value;
}

function isBase64Url(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && BASE64URL.test(value);
}

function readCritical(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > MOST_CRITICAL_ATTRIBUTES) {
    throw invalidSignature('the list of critical attributes is missing or malformed');
  }
  return value.map((name: unknown) => {
    if (typeof name !== 'string') throw invalidSignature('the list of critical attributes is malformed');
    return name;
  });
}

function readTime(attributes: Record<string, unknown>, name: string): Date | undefined {
  const value = attributes[name];
  if (value === undefined || value === null) return undefined;
  const time = typeof value === 'string' && RFC3339.test(value) ? new Date(value) : undefined;
  if (time === undefined || Number.isNaN(time.getTime())) throw invalidSignature(`${name} is not an RFC 3339 time`);
  return time;
}

function readChain(value: unknown): Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0) throw invalidSignature('the certificate chain is missing');
  if (value.length > MOST_CHAIN_CERTIFICATES) {
    throw invalidSignature(`the chain has ${value.length} certificates; the most is ${MOST_CHAIN_CERTIFICATES}`);
  }
  return value.map((text: unknown) => {
    if (typeof text !== 'string' || text.length > 2 * CERTIFICATE_BYTES || !BASE64.test(text)) {
      throw invalidSignature('the certificate chain is malformed');
    }
    return Buffer.from(text, 'base64');
  });
}
