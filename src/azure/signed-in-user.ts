import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { ConfigurationError } from '../oci/index.js';
import { registryToken, type RegistryToken } from './identity.js';
import { keyVaultKeys, type VaultKey } from './key-vault-keys.js';
import { parseVaultId } from './vault-id.js';

/** The Azure CLI takes a second or two. A tool that prompts will never get an answer. */
const TOOL_TIMEOUT_MS = 30_000;
const REASON_CHARACTERS = 300;

/**
 * The most useful line of the error: Entra's own message (`AADSTS…`), or else the first line. Each credential adds a
 * line.
 */
function reasonOf(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n').map((line) => line.trim());
  const reason = lines.find((line) => /AADSTS\d+/.test(line)) ?? lines.find((line) => line !== '') ?? '';
  return reason.slice(0, REASON_CHARACTERS);
}

function signInError(purpose: string, error: unknown): ConfigurationError {
  const reason = reasonOf(error);
  // This error means that no credential is set up. Other errors mean that a credential was set up and refused.
  if (error instanceof Error && error.name === 'AggregateAuthenticationError' && !reason.includes('AADSTS')) {
    return new ConfigurationError('AZURE_NOT_SIGNED_IN', 'no Azure credential is available', {
      remedy:
        'Run az login, or sign in to the registry itself: acr-promoter login, or --username and --password-stdin. In Azure, ' +
        'give the machine a managed identity and set AZURE_CLIENT_ID if it is user-assigned.',
    });
  }
  return new ConfigurationError('AZURE_SIGN_IN_FAILED', `Azure gave no token for ${purpose}: ${reason}`, {
    cause: error,
    remedy: 'Run az login again, or correct AZURE_TENANT_ID, AZURE_CLIENT_ID and their secret or certificate.',
  });
}

/**
 * Credential of the user who is signed in on this machine. Searches in the order of DefaultAzureCredential:
 * environment, workload identity, managed identity, Visual Studio Code, `az`, Azure PowerShell, `azd`;
 * `AZURE_TOKEN_CREDENTIALS` selects among them.
 * @param purpose what the tokens are for, for example `Key Vault`
 * @throws ConfigurationError `AZURE_NOT_SIGNED_IN`, `AZURE_SIGN_IN_FAILED`, also from `getToken`
 */
function userCredential(purpose: string): TokenCredential {
  try {
    const credential = new DefaultAzureCredential({ processTimeoutInMs: TOOL_TIMEOUT_MS });
    return {
      getToken: (scopes, options) =>
        credential.getToken(scopes, options).catch((error: unknown) => {
          throw signInError(purpose, error);
        }),
    };
  } catch (error) {
    // AZURE_TOKEN_CREDENTIALS names an unknown credential.
    throw signInError(purpose, error);
  }
}

/** Gives tokens of {@link userCredential} for container registries. */
export function userRegistryToken(): RegistryToken {
  const purpose = 'container registries';
  return registryToken(userCredential(purpose), (error) =>
    error instanceof ConfigurationError ? error : signInError(purpose, error),
  );
}

/**
 * Opens a key in Key Vault as the user who is signed in to Azure on this machine.
 * @returns undefined if `id` is not the id of a key
 * @throws as `VaultKeys.get`; ConfigurationError `AZURE_NOT_SIGNED_IN`, `AZURE_SIGN_IN_FAILED`
 */
export async function openKeyAsUser(id: string, signal: AbortSignal): Promise<VaultKey | undefined> {
  const parsed = parseVaultId('keys', id);
  if (parsed === undefined) return undefined;
  const keys = keyVaultKeys(parsed, { credential: userCredential('Key Vault'), now: () => new Date() });
  return keys.get(parsed.version, signal);
}
