import { keyVaultKeys, type VaultKey } from './key-vault-keys.js';
import { userCredential } from './signed-in-user.js';
import { parseVaultId } from './vault-id.js';

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
