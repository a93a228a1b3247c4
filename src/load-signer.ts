import { resolve } from 'node:path';
import type { LoadProblems } from './load-problems.js';
import { ConfigurationError } from './oci/index.js';
import { readText } from './rules-source.js';
import type { Settings } from './settings.js';
import { loadPemSigner, type Signer } from './signing/index.js';

type SignerSettings = Pick<Settings, 'SIGNING_KEY' | 'SIGNING_CERTIFICATE_CHAIN'>;

/**
 * The signer that SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN name; undefined where no key is set, and where something is wrong. Codes:
 * `SIGNING_CERTIFICATE_MISSING`, `SIGNING_KEY_UNSUPPORTED`, `SIGNING_KEY_UNREADABLE`, `SIGNING_CERTIFICATE_UNREADABLE`, and those of
 * `loadPemSigner`.
 * @param root the package's folder, from which paths start
 * @param problems takes everything that is wrong with them
 */
export async function loadSigner(
  { SIGNING_KEY: key, SIGNING_CERTIFICATE_CHAIN: chain }: SignerSettings,
  root: string,
  problems: LoadProblems,
): Promise<Signer | undefined> {
  if (key === undefined) return undefined;
  const keyPem = await problems.collect('SIGNING_KEY', () => readKey(key, root));
  const certificateChainPem = await problems.collect('SIGNING_CERTIFICATE_CHAIN', () => readChain(chain, root));
  if (keyPem === undefined || certificateChainPem === undefined) return undefined;
  return problems.collect('SIGNING_KEY', async () => loadPemSigner({ keyPem, certificateChainPem }));
}

async function readKey(key: string, root: string): Promise<string> {
  if (/^https?:\/\//.test(key)) {
    throw new ConfigurationError(
      'SIGNING_KEY_UNSUPPORTED',
      'SIGNING_KEY is a Key Vault key, which cannot be used yet',
      { remedy: 'Set SIGNING_KEY to a PEM file.' },
    );
  }
  return readText(resolve(root, key), 'SIGNING_KEY_UNREADABLE', 'SIGNING_KEY');
}

async function readChain(chain: string | undefined, root: string): Promise<string> {
  if (chain === undefined) {
    throw new ConfigurationError(
      'SIGNING_CERTIFICATE_MISSING',
      'SIGNING_KEY is set, SIGNING_CERTIFICATE_CHAIN is not',
      { remedy: 'Set SIGNING_CERTIFICATE_CHAIN to the PEM chain of the key, leaf first.' },
    );
  }
  return readText(resolve(root, chain), 'SIGNING_CERTIFICATE_UNREADABLE', 'SIGNING_CERTIFICATE_CHAIN');
}
