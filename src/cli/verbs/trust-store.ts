import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../../oci/index.js';
import { listOf } from '../repeated.js';
import { textOf, type Values } from '../verb.js';

/** The signature policy of `--trust-store` and `--identity`; undefined without a trust store. @throws ConfigurationError `CA_FILE_UNREADABLE` */
export async function trustedSignature(
  values: Values,
): Promise<{ format: 'notary'; trustStore: string; identities: string[] } | undefined> {
  const path = textOf(values, 'trustStore');
  if (path === undefined) return undefined;
  const identities = listOf(values.identity);
  try {
    const trustStore = await readFile(path, 'utf8');
    return { format: 'notary', trustStore, identities: identities.length > 0 ? identities : ['*'] };
  } catch (cause) {
    throw new ConfigurationError('CA_FILE_UNREADABLE', `the trust store ${path} cannot be read`, { cause });
  }
}
