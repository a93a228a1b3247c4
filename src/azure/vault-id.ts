/** The collections of Key Vault, as named in the paths of ids. */
export type VaultCollection = 'keys' | 'secrets' | 'certificates';

/** The id of a key, secret or certificate. */
export interface VaultId {
  /** `https://VAULT.vault.azure.net` */
  vault: string;
  name: string;
  /** 32 hexadecimal digits. Absent: the newest version. */
  version?: string;
}

/**
 * `https://VAULT.vault.azure.net/keys/NAME[/VERSION]`, in the public cloud, China's or the US government's. Azure
 * PowerShell prints ids with the port and with the capitals of the vault's name.
 */
const VAULT_ID =
  /^(https:\/\/[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net))(?::443)?\/(keys|secrets|certificates)\/([A-Za-z0-9-]{1,127})(?:\/([a-f0-9]{32}))?\/?$/;

/**
 * Parses an id of this collection; undefined if the text is not one. The identity's tokens are sent to no other host.
 */
export function parseVaultId(collection: VaultCollection, text: string): VaultId | undefined {
  const [, vault, found, name, version] = VAULT_ID.exec(text) ?? [];
  if (vault === undefined || name === undefined || found !== collection) return undefined;
  return { vault: vault.toLowerCase(), name, ...(version !== undefined && { version }) };
}

export function isVaultId(collection: VaultCollection, text: string): boolean {
  return parseVaultId(collection, text) !== undefined;
}
