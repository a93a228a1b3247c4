import { deskCredential } from './desk-identity.js';
import { keyVaultKeys, type VaultKey } from './key-vault-keys.js';
import { parseVaultId } from './vault-id.js';

/**
 * A key in Key Vault, as whoever is signed in to Azure here.
 * @returns undefined for what is no id of a key
 * @throws as `VaultKeys.get`; ConfigurationError `AZURE_NOT_SIGNED_IN`, `AZURE_SIGN_IN_FAILED`
 */
export async function openDeskKey(id: string, signal: AbortSignal): Promise<VaultKey | undefined> {
  const parsed = parseVaultId('keys', id);
  if (parsed === undefined) return undefined;
  const keys = keyVaultKeys(parsed, { credential: deskCredential('Key Vault'), now: () => new Date() });
  return keys.get(parsed.version, signal);
}
