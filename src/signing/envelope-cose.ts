import { decode, encode, Tagged } from 'cborg';
import { invalidSignature, type NotaryEnvelope, MOST_CRITICAL_ATTRIBUTES } from './envelope.js';
import { AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE } from './notary-format.js';
import { isSignedBy, type NotaryAlgorithm } from './signature-algorithm.js';
import { MOST_CHAIN_CERTIFICATES } from './certificate-chain.js';

/**
 * Labels of COSE's standard header parameters.
 * @see https://www.rfc-editor.org/rfc/rfc9052#section-3.1
 */
const ALG = 1;
const CRIT = 2;
const CONTENT_TYPE = 3;
/** @see https://www.rfc-editor.org/rfc/rfc9360#section-2 */
const X5CHAIN = 33;
const TAG_SIGN1 = 18;
const TAG_EPOCH = 1;

const ALGORITHMS: ReadonlyMap<unknown, NotaryAlgorithm> = new Map([
  [-7, 'ES256'],
  [-35, 'ES384'],
  [-36, 'ES512'],
  [-37, 'PS256'],
  [-38, 'PS384'],
  [-39, 'PS512'],
]);
const STANDARD: ReadonlySet<unknown> = new Set([
  ALG,
  CRIT,
  CONTENT_TYPE,
  SIGNING_SCHEME,
  SIGNING_TIME,
  AUTHENTIC_SIGNING_TIME,
  EXPIRY,
]);

type Headers = ReadonlyMap<unknown, unknown>;

/**
 * Parses a tagged COSE_Sign1 envelope.
 * @throws VerificationError `SIGNATURE_INVALID`
 * @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-envelope-cose.md
 */
export function readCoseEnvelope(bytes: Uint8Array): NotaryEnvelope {
  const outer = readCbor(bytes, 'the envelope');
  const parts = outer instanceof Tagged && outer.tag === TAG_SIGN1 ? (outer.value as unknown) : undefined;
  if (!Array.isArray(parts) || parts.length !== 4) throw invalidSignature('the envelope is not a COSE_Sign1');
  const [encodedHeader, unprotectedHeader, payload, signature] = parts as unknown[];
  if (!isBytes(encodedHeader) || !isMap(unprotectedHeader) || !isBytes(payload) || !isBytes(signature)) {
    throw invalidSignature('headers, payload or signature are missing or malformed');
  }
  const attributes = readCbor(encodedHeader, 'the protected header');
  if (!isMap(attributes)) throw invalidSignature('the protected header is not a map');
  const algorithm = ALGORITHMS.get(attributes.get(ALG));
  const contentType = attributes.get(CONTENT_TYPE);
  const scheme = attributes.get(SIGNING_SCHEME);
  if (algorithm === undefined || typeof contentType !== 'string' || typeof scheme !== 'string') {
    throw invalidSignature('algorithm, content type or signing scheme is missing or unknown');
  }
  const signingTime = readTime(attributes, SIGNING_TIME);
  const authenticSigningTime = readTime(attributes, AUTHENTIC_SIGNING_TIME);
  const expiry = readTime(attributes, EXPIRY);
  return {
    chain: readChain(unprotectedHeader.get(X5CHAIN)),
    algorithm,
    contentType,
    scheme,
    ...(signingTime !== undefined && { signingTime }),
    ...(authenticSigningTime !== undefined && { authenticSigningTime }),
    ...(expiry !== undefined && { expiry }),
    critical: readCritical(attributes.get(CRIT)),
    extended: new Set([...attributes.keys()].filter((label) => !STANDARD.has(label)).map(String)),
    timestamped: unprotectedHeader.has(TIMESTAMP_SIGNATURE),
    open: async (key, keyAlgorithm) => {
      // Sig_structure (RFC 9052, section 4.4), with the protected header as it was sent and no external data.
      const signed = encode(['Signature1', encodedHeader, new Uint8Array(), payload]);
      return isSignedBy(key, keyAlgorithm, signed, signature) ? payload : undefined;
    },
  };
}

/** Parses CBOR that has only one meaning: no duplicate keys, no indefinite lengths, no trailing bytes. */
function readCbor(bytes: Uint8Array, what: string): unknown {
  try {
    return decode(bytes, {
      useMaps: true,
      rejectDuplicateMapKeys: true,
      allowIndefinite: false,
      tags: Tagged.preserve(TAG_EPOCH, TAG_SIGN1),
    }) as unknown;
  } catch (cause) {
    // Deeply nested CBOR throws a RangeError.
    throw invalidSignature(`${what} is not CBOR`, cause);
  }
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.byteLength > 0;
}

function isMap(value: unknown): value is Headers {
  return value instanceof Map;
}

function readCritical(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > MOST_CRITICAL_ATTRIBUTES) {
    throw invalidSignature('the list of critical attributes is missing or malformed');
  }
  return value.map((label: unknown) => {
    if (typeof label !== 'string' && typeof label !== 'number') {
      throw invalidSignature('the list of critical attributes is malformed');
    }
    return String(label);
  });
}

function readTime(attributes: Headers, name: string): Date | undefined {
  const value = attributes.get(name);
  if (value === undefined || value === null) return undefined;
  const seconds = value instanceof Tagged && value.tag === TAG_EPOCH ? (value.value as unknown) : undefined;
  const time = typeof seconds === 'number' ? new Date(seconds * 1000) : undefined;
  if (time === undefined || Number.isNaN(time.getTime())) throw invalidSignature(`${name} is not a time`);
  return time;
}

function readChain(value: unknown): Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0) throw invalidSignature('the certificate chain is missing');
  if (value.length > MOST_CHAIN_CERTIFICATES) {
    throw invalidSignature(`the chain has ${value.length} certificates; the most is ${MOST_CHAIN_CERTIFICATES}`);
  }
  return value.map((der: unknown) => {
    if (!isBytes(der)) throw invalidSignature('the certificate chain is malformed');
    return der;
  });
}
