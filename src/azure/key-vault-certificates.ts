import type { CertificateClient, CertificateClientOptions } from '@azure/keyvault-certificates';
import { ConfigurationError } from '../oci/index.js';
import { callVault, type VaultClientOptions } from './key-vault-keys.js';
import { parseVaultId } from './vault-id.js';

/**
 * Reads the public part of Key Vault certificates: one certificate, DER. The issuers must come from elsewhere: only the
 * secret of the same name has them, and that can hold the private key too.
 * @throws as vaultError; ConfigurationError `SIGNING_CERTIFICATE_UNREADABLE`
 */
export function keyVaultCertificates({
  credential,
  client: options,
}: VaultClientOptions): (id: string, signal?: AbortSignal) => Promise<Uint8Array> {
  const clients = new Map<string, CertificateClient>();
  return async (id, signal) => {
    const parsed = parseVaultId('certificates', id);
    if (parsed === undefined) throw unreadable(id, 'this is not the id of a Key Vault certificate');
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
    if (cer === undefined || cer.length === 0) throw unreadable(id, 'the certificate is not issued yet');
    return cer;
  };
}

function unreadable(id: string, why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_CERTIFICATE_UNREADABLE', `${id} cannot be read: ${why}`, {
    remedy: 'Use the id of an existing, issued certificate: https://VAULT.vault.azure.net/certificates/NAME.',
  });
}
