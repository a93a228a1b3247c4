import { constants, sign, type KeyObject } from 'node:crypto';
import { encode, Tagged } from 'cborg';
import { PromoterError, type Descriptor } from '../../src/oci/index.js';
import { verifyNotary, type VerifiedSignature } from '../../src/signing/index.js';
import { NOW, type Issued } from './certificates.js';

export const SUBJECT: Descriptor = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'73c803930ea3ba1e54bc25c2bdc53edd'.repeat(2)}`,
  size: 16724,
};
export const JWS = 'application/jose+json';
export const COSE = 'application/cose';
export const SCHEME = 'io.cncf.notary.signingScheme';
export const TIME = 'io.cncf.notary.signingTime';
export const AUTHENTIC = 'io.cncf.notary.authenticSigningTime';
export const EXPIRY = 'io.cncf.notary.expiry';
const PAYLOAD_TYPE = 'application/vnd.cncf.notary.payload.v1+json';

const COSE_ALGORITHMS = new Map([
  ['ES256', -7],
  ['ES384', -35],
  ['ES512', -36],
  ['PS256', -37],
  ['PS384', -38],
  ['PS512', -39],
]);

/** A signature written by hand: every part can be made wrong. */
export interface Written {
  chain: Issued[];
  algorithm?: string;
  /** Signs with this key instead of the leaf's. */
  key?: KeyObject;
  payload?: unknown;
  /** Over the protected attributes of a good signature; undefined takes one away. */
  attributes?: Record<string, unknown>;
  critical?: unknown;
  /** Over the unprotected ones. */
  header?: Record<string, unknown>;
}

function payloadOf({ payload }: Written): Uint8Array {
  const { mediaType, digest, size } = SUBJECT;
  return Buffer.from(JSON.stringify(payload ?? { targetArtifact: { mediaType, digest, size } }));
}

function signWith(algorithm: string, key: KeyObject, bytes: Uint8Array): Uint8Array {
  const hash = `sha${algorithm.slice(2)}`;
  return algorithm.startsWith('ES')
    ? sign(hash, bytes, { key, dsaEncoding: 'ieee-p1363' })
    : sign(hash, bytes, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
}

function leafOf({ chain }: Written): Issued {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('a chain has a leaf');
  return leaf;
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

export function writeJws(written: Written): { bytes: Uint8Array; fields: Record<string, unknown> } {
  const { algorithm = 'ES256', key = leafOf(written).key, attributes = {} } = written;
  const header = {
    alg: algorithm,
    cty: PAYLOAD_TYPE,
    crit: written.critical ?? [SCHEME],
    [SCHEME]: 'notary.x509',
    [TIME]: NOW.toISOString().replace('.000', ''),
    ...attributes,
  };
  const encoded = base64url(Buffer.from(JSON.stringify(header)));
  const payload = base64url(payloadOf(written));
  const signature = base64url(signWith(algorithm, key, Buffer.from(`${encoded}.${payload}`)));
  const x5c = written.chain.map(({ der }) => Buffer.from(der).toString('base64'));
  const fields = { payload, protected: encoded, header: { x5c, ...written.header }, signature };
  return { bytes: Buffer.from(JSON.stringify(fields)), fields };
}

export function epoch(time: Date): Tagged {
  return new Tagged(1, time.getTime() / 1000);
}

export function writeCose(written: Written): Uint8Array {
  const { algorithm = 'ES256', key = leafOf(written).key, attributes = {} } = written;
  const all = new Map<unknown, unknown>([
    [1, COSE_ALGORITHMS.get(algorithm)],
    [2, written.critical ?? [SCHEME]],
    [3, PAYLOAD_TYPE],
    [SCHEME, 'notary.x509'],
    [TIME, epoch(NOW)],
    ...Object.entries(attributes).map(([name, value]): [unknown, unknown] => [
      /^\d+$/.test(name) ? Number(name) : name,
      value,
    ]),
  ]);
  const header = encode(new Map([...all].filter(([, value]) => value !== undefined)));
  const payload = payloadOf(written);
  const signed = encode(['Signature1', header, new Uint8Array(), payload]);
  const unprotected = new Map<unknown, unknown>([
    [33, written.chain.map(({ der }) => der)],
    ...Object.entries(written.header ?? {}),
  ]);
  return encode(new Tagged(18, [header, unprotected, payload, signWith(algorithm, key, signed)]));
}

/** Verifies against the chain's own root, unless told otherwise. */
export async function verifyWritten(
  envelope: Uint8Array,
  chain: Issued[],
  options: { mediaType?: string; subject?: Descriptor; identities?: string[]; trusted?: Uint8Array[]; now?: Date } = {},
): Promise<VerifiedSignature> {
  const root = chain.at(-1);
  return verifyNotary({
    envelope,
    mediaType: options.mediaType ?? JWS,
    subject: options.subject ?? SUBJECT,
    trust: {
      certificates: options.trusted ?? (root === undefined ? [] : [root.der]),
      identities: options.identities ?? ['*'],
    },
    now: options.now ?? NOW,
  });
}

/** The code of what a promise fails with, undefined where it doesn't; what is not ours goes through. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return (await errorOf(promise))?.code;
}

export async function errorOf(promise: Promise<unknown>): Promise<PromoterError | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof PromoterError) return error;
    throw error;
  }
}
