import { decode, encode, Tagged } from 'cborg';
import { invalidSignature, readChain, readCritical, readTimes, type NotaryEnvelope } from './envelope.js';
import { AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE } from './notary-format.js';
import { isSignedBy, type NotaryAlgorithm } from './signature-algorithm.js';

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
  return {
    chain: readChain(unprotectedHeader.get(X5CHAIN), (der) => (isBytes(der) ? der : undefined)),
    algorithm,
    contentType,
    scheme,
    ...readTimes((name) => attributes.get(name), toDate),
    critical: readCritical(attributes.get(CRIT), (label) => typeof label === 'string' || typeof label === 'number'),
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

function toDate(value: unknown): Date | undefined {
  const seconds = value instanceof Tagged && value.tag === TAG_EPOCH ? (value.value as unknown) : undefined;
  return typeof seconds === 'number' ? new Date(seconds * 1000) : undefined;
}
