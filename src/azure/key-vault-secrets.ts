import type { SecretClientOptions } from '@azure/keyvault-secrets';
import type { TokenCredential } from '@azure/identity';
import { abortable, ConfigurationError, PromoterError } from '../oci/index.js';
import { callVault } from './key-vault-keys.js';
import { parseVaultId } from './vault-id.js';

/** How long a secret is cached, in milliseconds. A changed secret takes effect after this time. */
const SECRET_KEEP_MS = 60_000;
/** Errors that say enough by themselves; all others are `CREDENTIAL_UNREADABLE`. */
const KNOWN: ReadonlySet<string> = new Set(['CREDENTIAL_UNREADABLE', 'KEY_VAULT_FIREWALL', 'IDENTITY_UNAVAILABLE']);

interface Kept {
  value: Promise<string>;
  untilMs: number;
}

/**
 * Reads Key Vault secrets with an identity. A value is cached for a minute, and parallel calls share one request.
 * Failures are not cached.
 * @throws ConfigurationError `CREDENTIAL_UNREADABLE`, marked transient if a retry may help; `KEY_VAULT_FIREWALL`,
 * `IDENTITY_UNAVAILABLE`
 */
export function keyVaultSecrets(
  credential: TokenCredential,
  options: SecretClientOptions = {},
): (url: string, signal?: AbortSignal) => Promise<string> {
  const kept = new Map<string, Kept>();
  return (url, signal) => {
    let found = kept.get(url);
    if (found === undefined || performance.now() >= found.untilMs) {
      const value = readSecret(credential, url, options);
      found = { value, untilMs: performance.now() + SECRET_KEEP_MS };
      kept.set(url, found);
      value.catch(() => kept.get(url)?.value === value && kept.delete(url));
    }
    return abortable(found.value, signal);
  };
}

async function readSecret(credential: TokenCredential, url: string, options: SecretClientOptions): Promise<string> {
  const parsed = parseVaultId('secrets', url);
  if (parsed === undefined) throw unreadable(url, 'this is not the id of a Key Vault secret');
  const { vault, name, version } = parsed;
  // Loaded only by apps that have such a setting, because loading slows a cold start.
  const { SecretClient } = await import('@azure/keyvault-secrets');
  const client = new SecretClient(vault, credential, { ...options, retryOptions: { maxRetries: 0 } });
  try {
    const { value = '' } = await callVault(url, undefined, (abortSignal) =>
      client.getSecret(name, { ...(version !== undefined && { version }), abortSignal }),
    );
    if (value === '') throw unreadable(url, 'the secret is empty');
    return value;
  } catch (error) {
    if (!(error instanceof PromoterError) || KNOWN.has(error.code)) throw error;
    throw unreadable(url, error.message, error.transient && error.code !== 'KEY_VAULT_DENIED');
  }
}

function unreadable(url: string, why: string, transient = false): ConfigurationError {
  return new ConfigurationError('CREDENTIAL_UNREADABLE', `the secret ${url} cannot be read: ${why}`, {
    transient,
    details: { secret: url },
    remedy:
      'Give the app’s identity the role Key Vault Secrets User on the vault or the secret (a new role takes up to ten minutes), and ' +
      'check that the secret named in JOB_CREDENTIALS exists, is enabled and has not expired.',
  });
}
