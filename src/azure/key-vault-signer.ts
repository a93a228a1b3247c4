import { abortable, ConfigurationError, PromoterError, TransportError } from '../oci/index.js';
import { chainFor, readPool, type Signer, type SignerSource } from '../signing/index.js';
import { keyVaultKeys, type VaultClientOptions, type VaultKey, type VaultKeys } from './key-vault-keys.js';
import type { VaultId } from './vault-id.js';

/** How long a signer is cached, in milliseconds. A rotated key or a new certificate takes effect after this time. */
const SIGNER_KEEP_MS = 5 * 60_000;
/** How long to wait after a failure before the signing key is read again. Milliseconds. */
const SIGNER_RETRY_MS = 15_000;
/** How many versions of a key are searched for one with a certificate, newest first. `SIGNING_KEY_MISMATCH` */
const MOST_KEY_VERSIONS = 20;
/** Time limit for finding the signing key and its certificates. Milliseconds. `KEY_VAULT_UNAVAILABLE` */
const SIGNER_LOAD_MS = 60_000;

export interface KeyVaultSignerOptions extends VaultClientOptions {
  key: VaultId;
  /** Reads the certificates of the key's versions and their issuers, DER, in any order. */
  readCertificates: (signal?: AbortSignal) => Promise<Uint8Array[]>;
  /** Time limit for finding key and certificates, in milliseconds. Default: a minute. */
  loadMs?: number;
}

/**
 * Signs with a key in Key Vault. If the id has no version, rotation is followed: the newest version that can sign and
 * has a certificate signs, with its own chain. Key and certificates are read again every five minutes. If that fails,
 * the present signer stays, because signing itself shows whether the key still works.
 * @throws from `current`: as vaultError; ConfigurationError `SIGNING_KEY_MISMATCH`, `SIGNING_CERTIFICATE_INVALID`,
 * `SIGNING_KEY_…`
 */
export function keyVaultSigner(options: KeyVaultSignerOptions): SignerSource {
  const { key, now, loadMs = SIGNER_LOAD_MS } = options;
  const keys = keyVaultKeys(key, options);
  let kept: { signer: Signer; untilMs: number } | undefined;
  let failed: { error: unknown; untilMs: number } | undefined;
  let loading: Promise<Signer> | undefined;

  const load = async (): Promise<Signer> => {
    try {
      const bound = AbortSignal.timeout(loadMs);
      const chosen = await inTime(key, bound, choose(keys, options, bound));
      const signer = withDoubt(chosen, () => {
        if (kept?.signer === signer) kept.untilMs = 0;
      });
      kept = { signer, untilMs: now().getTime() + SIGNER_KEEP_MS };
      failed = undefined;
      return signer;
    } catch (error) {
      const pauseMs = (error instanceof PromoterError ? error.retryAfterMs : undefined) ?? 0;
      failed = { error, untilMs: now().getTime() + Math.max(pauseMs, SIGNER_RETRY_MS) };
      if (kept !== undefined) return kept.signer;
      throw error;
    } finally {
      loading = undefined;
    }
  };
  return {
    async current(signal) {
      const nowMs = now().getTime();
      if (kept !== undefined && nowMs < kept.untilMs) return kept.signer;
      if (failed !== undefined && nowMs < failed.untilMs) {
        if (kept !== undefined) return kept.signer;
        throw failed.error;
      }
      loading ??= load();
      return inTime(key, signal, loading);
    },
  };
}

/** @throws TransportError `KEY_VAULT_UNAVAILABLE` if the time is over; the signal's reason if the caller stopped it */
async function inTime<T>({ vault, name }: VaultId, signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  try {
    return await abortable(work, signal);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'TimeoutError')) throw error;
    throw new TransportError(
      'KEY_VAULT_UNAVAILABLE',
      `${vault}/keys/${name}: key and certificates were not read in time`,
      {
        remedy:
          'The app retries. If the error persists, check the vault, the place of the certificates and the network.',
      },
    );
  }
}

/** After a permanent refusal another version of the key may be the right one, so the next call reads the key again. */
function withDoubt(signer: Signer, doubt: () => void): Signer {
  return {
    ...signer,
    async sign(message, signal) {
      try {
        return await signer.sign(message, signal);
      } catch (error) {
        if (error instanceof PromoterError && !error.transient) doubt();
        throw error;
      }
    },
  };
}

async function choose(
  keys: VaultKeys,
  { key, readCertificates, now }: KeyVaultSignerOptions,
  signal: AbortSignal,
): Promise<Signer> {
  const pool = readPool(await readCertificates(signal));
  const newest = await versionOrProblem(keys, signal, key.version);
  const signer = signerOf(newest, pool, now());
  if (signer !== undefined) return signer;
  // The newest version cannot sign yet or has no certificate yet, so use an older one, unless a version is named.
  const versions = key.version === undefined ? await keys.versions(signal) : [];
  for (const version of versions.slice(0, MOST_KEY_VERSIONS)) {
    const older = signerOf(await versionOrProblem(keys, signal, version), pool, now());
    if (older !== undefined) return 'problem' in newest ? older : { ...older, uncertified: newest.id };
  }
  throw 'problem' in newest ? newest.problem : mismatch(newest.id);
}

/** Returns a version, or the reason why it cannot sign. Other errors are thrown. */
async function versionOrProblem(
  keys: VaultKeys,
  signal: AbortSignal,
  version?: string,
): Promise<VaultKey | { problem: ConfigurationError }> {
  try {
    return await keys.get(version, signal);
  } catch (error) {
    if (error instanceof ConfigurationError && error.code.startsWith('SIGNING_KEY_')) return { problem: error };
    throw error;
  }
}

/** Undefined if the version cannot sign, or if no certificate is for it. */
function signerOf(
  version: VaultKey | { problem: ConfigurationError },
  pool: ReturnType<typeof readPool>,
  now: Date,
): Signer | undefined {
  if ('problem' in version) return undefined;
  const { id: keyId, algorithm, expires, sign } = version;
  const certificates = chainFor(version.publicKey, pool, now)?.map(({ der }) => der);
  return certificates && { keyId, algorithm, certificates, ...(expires !== undefined && { expires }), sign };
}

function mismatch(id: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_MISMATCH', `no certificate of SIGNING_CERTIFICATE_CHAIN is for ${id}`, {
    details: { id },
    remedy:
      'Create a certificate for this key (acr-promoter certificate create) and store it where SIGNING_CERTIFICATE_CHAIN points.',
  });
}
