import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenCredential } from '@azure/identity';
import type { KeyClient, KeyClientOptions, KeyProperties, KeyVaultKey } from '@azure/keyvault-keys';
import { abortable, ConfigurationError, PromoterError } from '../oci/index.js';
import { hashOf, keyError, signingAlgorithmOf, type CertifiedKey, type NotaryAlgorithm } from '../signing/index.js';
import { keyCannotSign, keyDisabled, keyExpired, keyNotYetValid } from './key-problems.js';
import { vaultError } from './key-vault-errors.js';
import type { VaultId } from './vault-id.js';

/**
 * Time limit of one Key Vault request about the signing key, including sign-in. Milliseconds. `KEY_VAULT_UNAVAILABLE`
 */
const KEY_ANSWER_MS = 20_000;
/** How often a Key Vault call is repeated at once; after that the step backs off. */
const KEY_REPEATS = 2;
/**
 * The longest pause before such a repetition, in milliseconds. With a longer Retry-After the step backs off instead.
 */
const KEY_REPEAT_PAUSE_MS = 2_000;
/** The most versions of a key that are listed. `TOO_MANY_KEY_VERSIONS` */
const MOST_LISTED_KEY_VERSIONS = 1_000;

/** One version of a key that can sign. The private key never leaves the vault. */
export interface VaultKey extends CertifiedKey {
  /** `https://VAULT.vault.azure.net/keys/NAME/VERSION` */
  id: string;
  algorithm: NotaryAlgorithm;
  /** When this version of the key expires. */
  expires?: Date;
  /** Signs a message. @returns raw r‖s for ES256, the PSS signature for RSA @throws as {@link vaultError} */
  sign: (message: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;
}

export interface VaultKeys {
  /** Reads the given version, or the newest. @throws as {@link vaultError}; `SIGNING_KEY_…` if it cannot sign */
  get(version?: string, signal?: AbortSignal): Promise<VaultKey>;
  /** Lists the versions, newest first. */
  versions(signal?: AbortSignal): Promise<string[]>;
}

export interface VaultClientOptions {
  credential: TokenCredential;
  now: () => Date;
  /** Options of the SDK, for tests. */
  client?: KeyClientOptions;
}

/**
 * Reads the versions of one key in Key Vault. The SDK is loaded with the first call, because loading it slows a cold
 * start.
 */
export function keyVaultKeys({ vault, name: keyName }: VaultId, options: VaultClientOptions): VaultKeys {
  const { credential, now } = options;
  // We repeat calls ourselves: the SDK would wait as long as the vault says.
  const clientOptions = { ...options.client, retryOptions: { maxRetries: 0 } };
  let client: Promise<KeyClient> | undefined;
  const open = (): Promise<KeyClient> =>
    (client ??= import('@azure/keyvault-keys').then(
      ({ KeyClient: Client }) => new Client(vault, credential, clientOptions),
    ));
  const idOf = (version?: string): string => `${vault}/keys/${keyName}${version === undefined ? '' : `/${version}`}`;
  return {
    async get(version, signal) {
      const keys = await open();
      const found = await callVault(idOf(version), signal, (abortSignal) =>
        keys.getKey(keyName, { ...(version !== undefined && { version }), abortSignal }),
      );
      const { CryptographyClient } = await import('@azure/keyvault-keys');
      const id = idOf(found.properties.version);
      const { publicKey, algorithm } = usable(id, found, now());
      // Leave out its times: the client would check them and throw an error without a code.
      const { notBefore: _notBefore, expiresOn: _expiresOn, ...properties } = found.properties;
      const crypto = new CryptographyClient({ ...found, properties }, credential, clientOptions);
      const signWith = async (
        signatureAlgorithm: NotaryAlgorithm | 'RS256',
        hash: string,
        message: Uint8Array,
        signSignal?: AbortSignal,
      ): Promise<Uint8Array> => {
        checkTimes(id, found.properties, now());
        const digest = createHash(hash).update(message).digest();
        const { result } = await callVault(id, signSignal, (abortSignal) =>
          crypto.sign(signatureAlgorithm, digest, { abortSignal }),
        );
        return result;
      };
      return {
        id,
        publicKey,
        algorithm,
        ...(found.properties.expiresOn !== undefined && { expires: found.properties.expiresOn }),
        sign: (message, signSignal) => signWith(algorithm, hashOf(algorithm), message, signSignal),
        async signCertificate(toBeSigned) {
          if (algorithm !== 'ES256') return signWith('RS256', 'sha256', toBeSigned, signal);
          return ecdsaDer(await signWith('ES256', 'sha256', toBeSigned, signal));
        },
      };
    },
    async versions(signal) {
      const keys = await open();
      return callVault(idOf(), signal, async (abortSignal) => {
        const listed: KeyProperties[] = [];
        for await (const properties of keys.listPropertiesOfKeyVersions(keyName, { abortSignal })) {
          listed.push(properties);
          if (listed.length > MOST_LISTED_KEY_VERSIONS) {
            throw new ConfigurationError(
              'TOO_MANY_KEY_VERSIONS',
              `${idOf()} has more than ${MOST_LISTED_KEY_VERSIONS} versions`,
              { remedy: 'Create a new key, or set SIGNING_KEY to one version.' },
            );
          }
        }
        const madeAt = ({ createdOn }: KeyProperties): number => createdOn?.getTime() ?? 0;
        return listed
          .sort((a, b) => madeAt(b) - madeAt(a))
          .flatMap(({ version }) => (version === undefined ? [] : [version]));
      });
    },
  };
}

/**
 * Converts r‖s to the form that X.509 uses, a sequence of two integers. @see
 * https://www.rfc-editor.org/rfc/rfc3279#section-2.2.3
 */
function ecdsaDer(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  const integer = (bytes: Uint8Array): Buffer => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const short = Buffer.from(bytes.subarray(start < 0 ? half - 1 : start));
    const content = ((short[0] ?? 0) & 0x80) === 0 ? short : Buffer.concat([Buffer.from([0]), short]);
    return Buffer.concat([Buffer.from([0x02, content.length]), content]);
  };
  const content = Buffer.concat([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
  return Buffer.concat([Buffer.from([0x30, content.length]), content]);
}

/** Checks by its properties that a version can sign. */
function usable(
  id: string,
  { key, keyOperations, properties }: KeyVaultKey,
  now: Date,
): { publicKey: KeyObject; algorithm: NotaryAlgorithm } {
  if (properties.enabled === false) throw keyDisabled(id);
  checkTimes(id, properties, now);
  if (keyOperations?.includes('sign') === false) throw keyCannotSign(id);
  const publicKey = publicKeyOf(id, key);
  const found = signingAlgorithmOf(publicKey);
  if ('problem' in found) throw keyError(`${id}: ${found.problem}`);
  return { publicKey, algorithm: found.algorithm };
}

function publicKeyOf(id: string, { kty, crv, x, y, n, e }: KeyVaultKey['key'] = {}): KeyObject {
  const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64url');
  try {
    return kty?.startsWith('RSA') === true
      ? createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: text(n), e: text(e) } })
      : createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: crv ?? '', x: text(x), y: text(y) } });
  } catch {
    // P-256K and symmetric keys, for which Node has no JWK.
    throw keyError(`${id} is ${kty ?? 'unknown'} ${crv ?? ''}, neither EC P-256 nor RSA`);
  }
}

function checkTimes(id: string, { notBefore, expiresOn }: KeyProperties, now: Date): void {
  if (notBefore !== undefined && now < notBefore) throw keyNotYetValid(id, notBefore);
  if (expiresOn !== undefined && now >= expiresOn) throw keyExpired(id, expiresOn);
}

/**
 * Calls Key Vault with a time limit; throws only our errors. Repeats the call twice after a transient error, unless the
 * vault asks for a longer pause.
 */
export async function callVault<T>(
  id: string,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  for (let repeats = 0; ; repeats += 1) {
    try {
      const bound = AbortSignal.timeout(KEY_ANSWER_MS);
      const either = signal === undefined ? bound : AbortSignal.any([signal, bound]);
      // Azure's credentials continue after their signal has aborted: stop waiting for them.
      return await abortable(call(either), either);
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = vaultError(id, thrown);
      const pauseMs = error instanceof PromoterError ? pauseOf(error, repeats) : undefined;
      if (pauseMs === undefined) throw error;
      await sleep(pauseMs, undefined, { signal });
    }
  }
}

/** The pause before the next repetition; undefined if the call is not repeated. */
function pauseOf({ code, transient, retryAfterMs = 0 }: PromoterError, repeats: number): number | undefined {
  if (!transient || code === 'KEY_VAULT_DENIED' || repeats >= KEY_REPEATS) return undefined;
  if (retryAfterMs > KEY_REPEAT_PAUSE_MS) return undefined;
  return Math.max(retryAfterMs, 250 * 2 ** repeats);
}
