import type { SecretClientOptions } from '@azure/keyvault-secrets';
import type { TokenCredential } from '@azure/identity';
import { ConfigurationError } from '../oci/index.js';
import { identityError, isIdentityFailure } from './identity-errors.js';
import { unlessAborted } from './identity.js';
import { vaultError } from './key-vault-errors.js';
import { parseVaultId } from './vault-id.js';
import { storageFailure } from './storage-errors.js';

/** How long a secret is cached, in milliseconds. A changed secret takes effect after this time. */
const SECRET_KEEP_MS = 60_000;
/** Time limit for reading a secret, including repetitions. Milliseconds. `CREDENTIAL_UNREADABLE` */
const SECRET_READ_MS = 60_000;

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
    return unlessAborted(found.value, signal);
  };
}

async function readSecret(credential: TokenCredential, url: string, options: SecretClientOptions): Promise<string> {
  const parsed = parseVaultId('secrets', url);
  if (parsed === undefined) throw unreadable(url, 'this is not the id of a Key Vault secret');
  const { vault, name, version } = parsed;
  // Loaded only by apps that have such a setting, because loading slows a cold start.
  const { SecretClient } = await import('@azure/keyvault-secrets');
  const client = new SecretClient(vault, credential, {
    retryOptions: { maxRetries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 10_000 },
    ...options,
  });
  try {
    const { value = '' } = await client.getSecret(name, {
      ...(version !== undefined && { version }),
      abortSignal: AbortSignal.timeout(SECRET_READ_MS),
    });
    if (value === '') throw unreadable(url, 'the secret is empty');
    return value;
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    if (isIdentityFailure(error)) throw identityError('Key Vault', error);
    const known = vaultError(url, error);
    if (known instanceof ConfigurationError && known.code === 'KEY_VAULT_FIREWALL') throw known;
    const { statusCode, code } = storageFailure(error);
    if (statusCode === undefined) throw unreadable(url, 'Key Vault does not answer', true);
    const isPassing = statusCode === 408 || statusCode === 429 || statusCode >= 500;
    throw unreadable(url, `Key Vault answers ${statusCode}${code === undefined ? '' : ` ${code}`}`, isPassing);
  }
}

/** The SDK's error is not the cause here, because it contains the request with its token. */
function unreadable(url: string, why: string, transient = false): ConfigurationError {
  return new ConfigurationError('CREDENTIAL_UNREADABLE', `the secret ${url} cannot be read: ${why}`, {
    transient,
    details: { secret: url },
    remedy:
      'Give the app’s identity the role Key Vault Secrets User on the vault or the secret (a new role takes up to ten minutes), and ' +
      'check that the secret named in JOB_CREDENTIALS exists, is enabled and has not expired.',
  });
}
