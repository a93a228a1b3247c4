import { resolve } from 'node:path';
import type { TokenCredential } from '@azure/identity';
import type { KeyClientOptions } from '@azure/keyvault-keys';
import { keyVaultCertificates } from './azure/key-vault-certificates.js';
import { keyVaultSigner } from './azure/key-vault-signer.js';
import { readCertificateBlob } from './azure/text-blob.js';
import { isVaultId, parseVaultId, type VaultId } from './azure/vault-id.js';
import type { LoadProblems } from './load-problems.js';
import { ConfigurationError, describeError } from './oci/index.js';
import { readText } from './rules-source.js';
import type { Settings } from './settings.js';
import { fixedSigner, loadPemSigner, readCertificates, type SignerSource } from './signing/index.js';

interface LoadSignerOptions {
  settings: Pick<Settings, 'SIGNING_KEY' | 'SIGNING_CERTIFICATE_CHAIN'>;
  /** The package's folder; paths are relative to it. */
  root: string;
  credential: TokenCredential;
  now: () => Date;
  /** Options of the vault's SDK, for tests. */
  client?: KeyClientOptions;
}

/**
 * Loads the signers for SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN. A PEM file is read at once. A key in Key Vault is
 * read when it is first used, because its role and its certificate may be created after the app. Error codes:
 * `SIGNING_CERTIFICATE_MISSING`, `SIGNING_KEY_UNREADABLE`, `SIGNING_CERTIFICATE_UNREADABLE`, and those of
 * `loadPemSigner`.
 * @param problems receives all errors
 * @returns undefined if no key is set, or there were errors
 */
export async function loadSigner(
  options: LoadSignerOptions,
  problems: LoadProblems,
): Promise<SignerSource | undefined> {
  const { settings, root } = options;
  const { SIGNING_KEY: key, SIGNING_CERTIFICATE_CHAIN: chain } = settings;
  if (key === undefined) return undefined;
  const places = await problems.collect('SIGNING_CERTIFICATE_CHAIN', async () => placesOf(chain));
  const vaultKey = parseVaultId('keys', key);
  if (vaultKey !== undefined) return places && vaultSigner(options, vaultKey, places);
  const keyPem = await problems.collect('SIGNING_KEY', () =>
    readText(resolve(root, key), 'SIGNING_KEY_UNREADABLE', 'SIGNING_KEY'),
  );
  const pems =
    places &&
    (await problems.collect('SIGNING_CERTIFICATE_CHAIN', () =>
      Promise.all(places.map((path) => readChainFile(root, path))),
    ));
  if (keyPem === undefined || pems === undefined) return undefined;
  return problems.collect('SIGNING_KEY', async () =>
    fixedSigner(loadPemSigner({ keyPem, certificateChainPem: pems.join('\n'), keyId: key })),
  );
}

function placesOf(chain: readonly string[]): readonly string[] {
  if (chain.length > 0) return chain;
  throw new ConfigurationError(
    'SIGNING_CERTIFICATE_MISSING',
    'SIGNING_KEY is set but SIGNING_CERTIFICATE_CHAIN is not',
    {
      remedy:
        'Set SIGNING_CERTIFICATE_CHAIN to the certificates of the key and of its issuers (docs/reference/settings.md).',
    },
  );
}

function vaultSigner({ root, ...options }: LoadSignerOptions, key: VaultId, places: readonly string[]): SignerSource {
  const readBlob = readCertificateBlob(options.credential);
  const readVault = keyVaultCertificates(options);
  const read = async (place: string, signal?: AbortSignal): Promise<Uint8Array[]> => {
    if (isVaultId('certificates', place)) return [await readVault(place, signal)];
    const isBlob = /^https?:\/\//.test(place);
    return certificatesIn(place, await (isBlob ? readBlob(place) : readChainFile(root, place)));
  };
  return keyVaultSigner({
    ...options,
    key,
    readCertificates: async (signal) => (await Promise.all(places.map((place) => read(place, signal)))).flat(),
  });
}

function readChainFile(root: string, path: string): Promise<string> {
  return readText(resolve(root, path), 'SIGNING_CERTIFICATE_UNREADABLE', 'SIGNING_CERTIFICATE_CHAIN');
}

function certificatesIn(place: string, pem: string): Uint8Array[] {
  try {
    return readCertificates(pem);
  } catch (error) {
    throw new ConfigurationError('SIGNING_CERTIFICATE_INVALID', `${place}: ${describeError(error).message}`, {
      remedy: 'Store the certificates of the key and of its issuers there, as PEM.',
    });
  }
}
