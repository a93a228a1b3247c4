import type { CertificateClient, CertificateClientOptions } from '@azure/keyvault-certificates';
import { ConfigurationError } from '../oci/index.js';
import { callVault, type VaultClientOptions } from './key-vault-keys.js';
import { parseVaultId } from './vault-id.js';

/**
 * Reads certificates of Key Vault: the public part, one certificate, DER. Its issuers are in the secret of the same name only,
 * which can hold the private key too, so they come from elsewhere.
 * @throws as vaultError; ConfigurationError `SIGNING_CERTIFICATE_UNREADABLE`
 */
export function keyVaultCertificates({
  credential,
  client: options,
}: VaultClientOptions): (id: string, signal?: AbortSignal) => Promise<Uint8Array> {
  const clients = new Map<string, CertificateClient>();
  return async (id, signal) => {
    const parsed = parseVaultId('certificates', id);
    if (parsed === undefined) throw unreadable(id, 'it is no certificate of Key Vault');
    const { vault, name, version } = parsed;
    const { CertificateClient: Client } = await import('@azure/keyvault-certificates');
    const clientOptions: CertificateClientOptions = { ...(options as object), retryOptions: { maxRetries: 0 } };
    const client = clients.get(vault) ?? new Client(vault, credential, clientOptions);
    clients.set(vault, client);
    const { cer } = await callVault(id, signal, (abortSignal) =>
      version === undefined
        ? client.getCertificate(name, { abortSignal })
        : client.getCertificateVersion(name, version, { abortSignal }),
    );
    if (cer === undefined || cer.length === 0) throw unreadable(id, 'it is not issued yet');
    return cer;
  };
}

function unreadable(id: string, why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_CERTIFICATE_UNREADABLE', `${id} cannot be read: ${why}`, {
    remedy: 'Name a certificate that is there and issued: https://VAULT.vault.azure.net/certificates/NAME.',
  });
}
