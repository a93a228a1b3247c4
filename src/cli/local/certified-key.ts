import { ConfigurationError } from '../../oci/index.js';
import { pemCertifiedKey, type CertifiedKey } from '../../signing/index.js';
import { readOperand } from '../files.js';
import type { Io } from '../io.js';

/** Bytes of a key's file; an RSA key of 4096 bits has 3,300. */
const KEY_BYTES = 64 * 1024;

/**
 * The key of a certificate: a PEM file, or a key in Key Vault, which can only sign.
 * @returns the key and its id; an id without a version gets the newest version
 * @throws ConfigurationError `SIGNING_KEY_INVALID`; for a vault also `AZURE_NOT_SIGNED_IN`, `KEY_VAULT_…`, `SIGNING_KEY_…`
 */
export async function openCertifiedKey(text: string, io: Io): Promise<{ id: string; key: CertifiedKey }> {
  if (!/^https?:\/\//.test(text)) {
    return { id: text, key: pemCertifiedKey(Buffer.from(await readOperand(text, KEY_BYTES, io)).toString('utf8')) };
  }
  // Loaded on demand: it takes longer than everything else here.
  const { openKeyAsUser } = await import('../../azure/signed-in-user.js');
  const key = await openKeyAsUser(text, io.signal);
  if (key === undefined) {
    throw new ConfigurationError('SIGNING_KEY_INVALID', `${text} is not a key in Key Vault`, {
      remedy: 'Write it as https://VAULT.vault.azure.net/keys/NAME, or name a PEM file.',
    });
  }
  return { id: key.id, key };
}
