/** What Key Vault keeps, as the paths of its ids call it. */
export type VaultCollection = 'keys' | 'secrets' | 'certificates';

/** The id of something in a vault. */
export interface VaultId {
  /** `https://VAULT.vault.azure.net` */
  vault: string;
  name: string;
  /** 32 hexadecimal digits; without one the id means the newest. */
  version?: string;
}

/**
 * `https://VAULT.vault.azure.net/keys/NAME[/VERSION]`, in the public cloud, China's or the US government's. Azure PowerShell prints
 * ids with the port and with the capitals that the vault was made with.
 */
const VAULT_ID =
  /^(https:\/\/[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net))(?::443)?\/(keys|secrets|certificates)\/([A-Za-z0-9-]{1,127})(?:\/([a-f0-9]{32}))?\/?$/;

/** The parts of an id of this collection; undefined where it is none. The identity's tokens go to no other host. */
export function parseVaultId(collection: VaultCollection, text: string): VaultId | undefined {
  const [, vault, found, name, version] = VAULT_ID.exec(text) ?? [];
  if (vault === undefined || name === undefined || found !== collection) return undefined;
  return { vault: vault.toLowerCase(), name, ...(version !== undefined && { version }) };
}

export function isVaultId(collection: VaultCollection, text: string): boolean {
  return parseVaultId(collection, text) !== undefined;
}
