import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../../oci/index.js';
import { loadPemSigner, type Signer } from '../../signing/index.js';
import type { Io } from '../io.js';
import { textOf, type Values } from '../verb.js';

/**
 * The signing key of this machine; undefined if none is named.
 * @throws ConfigurationError `SIGNING_CERTIFICATE_MISSING`, `SIGNING_KEY_MISSING`, `SIGNING_KEY_UNREADABLE`,
 * `SIGNING_CERTIFICATE_UNREADABLE`, and what is wrong with them
 */
export async function readSigner(values: Values, { env }: Pick<Io, 'env'>): Promise<Signer | undefined> {
  const key = textOf(values, 'signingKey') ?? (env.SIGNING_KEY || undefined);
  const chain = textOf(values, 'certificateChain') ?? (env.SIGNING_CERTIFICATE_CHAIN || undefined);
  if (key === undefined && chain === undefined) return undefined;
  if (chain === undefined || key === undefined) {
    const [is, isNot] = key === undefined ? ['certificate chain', 'key'] : ['key', 'certificate chain'];
    throw new ConfigurationError(
      key === undefined ? 'SIGNING_KEY_MISSING' : 'SIGNING_CERTIFICATE_MISSING',
      `a ${is} is named, and no ${isNot}`,
      { remedy: 'Give both: --signing-key and --certificate-chain, or SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN.' },
    );
  }
  return loadPemSigner({
    keyId: key,
    keyPem: await read(key, 'SIGNING_KEY_UNREADABLE'),
    certificateChainPem: await read(chain, 'SIGNING_CERTIFICATE_UNREADABLE'),
  });
}

/** @throws ConfigurationError `SIGNING_KEY_MISSING` */
export function requireSigner(signer: Signer | undefined, why: string): Signer {
  if (signer !== undefined) return signer;
  throw new ConfigurationError('SIGNING_KEY_MISSING', why, {
    remedy:
      'Give --signing-key and --certificate-chain, or SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN; --submit signs with the app’s key.',
  });
}

async function read(path: string, code: 'SIGNING_KEY_UNREADABLE' | 'SIGNING_CERTIFICATE_UNREADABLE'): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError(code, `${path} cannot be read`, {
      cause,
      remedy: 'Name a PEM file on this machine. A key in Key Vault signs only in the app: use --submit.',
    });
  }
}
