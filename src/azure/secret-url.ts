/** `https://VAULT.vault.azure.net/secrets/NAME[/VERSION]`, in the public cloud, China's or the US government's. */
const SECRET_URL =
  /^(https:\/\/[a-z][a-z0-9-]{1,22}[a-z0-9]\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net))\/secrets\/([A-Za-z0-9-]{1,127})(?:\/([a-f0-9]{32}))?\/?$/;

/** The parts of a secret's id; undefined where it is none. The identity's tokens go to no other host. */
export function parseSecretUrl(text: string): { vault: string; name: string; version?: string } | undefined {
  const [, vault, name, version] = SECRET_URL.exec(text) ?? [];
  if (vault === undefined || name === undefined) return undefined;
  return { vault, name, ...(version !== undefined && { version }) };
}

/** Whether a text is the id of a secret in Key Vault. */
export function isSecretUrl(text: string): boolean {
  return parseSecretUrl(text) !== undefined;
}
