import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { rsaKey } from '../rsa-key.js';
import { ANSWERS, type Answer } from './answers.js';
import { signEcdsa, signRsa } from './sign-digest.js';

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096' | 'RSA-1024';

/** One version of a key, with all that a test may change. */
export interface KeyVersion {
  /** `VAULT/keys/NAME/VERSION` */
  id: string;
  version: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
  keyOps: string[];
  enabled: boolean;
  createdMs: number;
  notBeforeMs?: number;
  expiresMs?: number;
}

/** @param count of the versions before it: what it is called is the same each time */
export function newKeyVersion(id: string, kind: KeyKind, createdMs: number, count: number): KeyVersion {
  const version = createHash('sha256').update(`${id} ${count}`).digest('hex').slice(0, 32);
  const [type, bits] = kind.split('-');
  const privateKey = type === 'RSA' ? rsaKey(Number(bits)) : generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
  return {
    id: `${id}/${version}`,
    version,
    privateKey,
    publicKey: createPublicKey(privateKey),
    keyOps: ['sign', 'verify'],
    enabled: true,
    createdMs,
  };
}

/** `KeyBundle` */
export function bundleOf(key: KeyVersion): unknown {
  return {
    key: { kid: key.id, key_ops: key.keyOps, ...key.publicKey.export({ format: 'jwk' }) },
    attributes: attributesOf(key),
    tags: {},
  };
}

/** `KeyItem` */
export function itemOf(key: KeyVersion): unknown {
  return { kid: key.id, attributes: attributesOf(key), tags: {} };
}

function attributesOf({ enabled, createdMs, notBeforeMs, expiresMs }: KeyVersion): unknown {
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  return {
    enabled,
    ...(notBeforeMs !== undefined && { nbf: seconds(notBeforeMs) }),
    ...(expiresMs !== undefined && { exp: seconds(expiresMs) }),
    created: seconds(createdMs),
    updated: seconds(createdMs),
    recoveryLevel: 'Recoverable+Purgeable',
    recoverableDays: 90,
    exportable: false,
  };
}

const DIGEST_BYTES: Readonly<Record<string, number>> = { '256': 32, '384': 48, '512': 64 };
const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** `POST /keys/{name}/{version}/sign`: over a digest, as raw r‖s or with PSS. */
export function signDigest(key: KeyVersion, body: unknown, nowMs: number): Answer {
  const { alg, value } = (typeof body === 'object' && body !== null ? body : {}) as { alg?: unknown; value?: unknown };
  if (typeof alg !== 'string' || typeof value !== 'string') return ANSWERS.badParameter('alg or value is missing');
  if (!key.enabled) return ANSWERS.keyDisabled();
  if (key.notBeforeMs !== undefined && nowMs < key.notBeforeMs) return ANSWERS.keyNotYetValid();
  if (key.expiresMs !== undefined && nowMs >= key.expiresMs) return ANSWERS.keyExpired();
  if (!key.keyOps.includes('sign')) return ANSWERS.operationForbidden();
  const { asymmetricKeyType, asymmetricKeyDetails } = key.privateKey;
  const fits =
    asymmetricKeyType === 'rsa'
      ? /^[PR]S(?:256|384|512)$/.test(alg)
      : alg === CURVE_ALGORITHMS[asymmetricKeyDetails?.namedCurve ?? ''];
  if (!fits) {
    return ANSWERS.badParameter(
      `Key and signing algorithm are incompatible. Key ${key.id} is of type '${asymmetricKeyType}', and algorithm '${alg}' can only be used with another.`,
    );
  }
  const digest = Buffer.from(value, 'base64url');
  const bytes = DIGEST_BYTES[alg.slice(2)] ?? 0;
  if (digest.length !== bytes) {
    return ANSWERS.badParameter(`Invalid length of 'value': ${digest.length} bytes. ${alg} requires ${bytes} bytes.`);
  }
  const signature =
    asymmetricKeyType === 'rsa' ? signRsa(key.privateKey, alg, digest) : signEcdsa(key.privateKey, digest);
  return { status: 200, body: { kid: key.id, value: signature.toString('base64url') } };
}
