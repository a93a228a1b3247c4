import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';

/** The signing key of one tenant's tokens, and the identity they are for. */
export interface IdentityKeys {
  keyId: string;
  privateKey: CryptoKey;
  tenantId: string;
  /** The application (client) id of the user-assigned identity. */
  clientId: string;
  objectId: string;
  /** The required value of `X-IDENTITY-HEADER`. It survives a restart, so that a running app can continue. */
  secret: string;
  /** A JWK set with the public key, with which registries verify tokens. */
  publicKeysFile: string;
}

interface Kept {
  privateKey: JWK;
  tenantId: string;
  clientId: string;
  objectId: string;
  secret: string;
}

/** Reads the keys from the folder. Makes and stores them if there are none. */
export async function loadKeys(folder: string): Promise<IdentityKeys> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'identity-key.json');
  let kept: Kept;
  try {
    kept = JSON.parse(readFileSync(path, 'utf8')) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    kept = {
      privateKey: await exportJWK(privateKey),
      tenantId: randomUUID(),
      clientId: randomUUID(),
      objectId: randomUUID(),
      secret: randomBytes(24).toString('base64url'),
    };
    writeFileSync(path, JSON.stringify(kept), { flag: 'wx', mode: 0o600 });
  }
  const { d: _secret, ...publicKey } = kept.privateKey;
  const keyId = await calculateJwkThumbprint(publicKey);
  const publicKeysFile = join(folder, 'identity-keys.public.json');
  writeFileSync(publicKeysFile, JSON.stringify({ keys: [{ ...publicKey, kid: keyId, alg: 'ES256', use: 'sig' }] }));
  const privateKey = await importJWK(kept.privateKey, 'ES256');
  if (privateKey instanceof Uint8Array) throw new TypeError(`${path} holds no private key`);
  return {
    keyId,
    privateKey,
    tenantId: kept.tenantId,
    clientId: kept.clientId,
    objectId: kept.objectId,
    secret: kept.secret,
    publicKeysFile,
  };
}
