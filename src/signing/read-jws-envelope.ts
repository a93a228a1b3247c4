import { errors, flattenedVerify } from 'jose';
import { isRecord } from '../oci/index.js';
import { invalidSignature, readChain, readCritical, readJson, readTimes, type NotaryEnvelope } from './envelope.js';
import { AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE } from './notary-format.js';
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
  const critical = readCritical(attributes.crit, (name) => typeof name === 'string');
  return {
    chain: readChain(header.x5c, toDer),
    algorithm: alg,
    contentType: cty,
    scheme,
    ...readTimes((name) => attributes[name], toDate),
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

function isBase64Url(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && BASE64URL.test(value);
}

function toDate(value: unknown): Date | undefined {
  return typeof value === 'string' && RFC3339.test(value) ? new Date(value) : undefined;
}

function toDer(text: unknown): Uint8Array | undefined {
  const isDer = typeof text === 'string' && text.length <= 2 * CERTIFICATE_BYTES && BASE64.test(text);
  return isDer ? Buffer.from(text, 'base64') : undefined;
}
