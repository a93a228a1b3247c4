import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { ConfigurationError } from '../../oci/index.js';
import { collect, listOf } from '../repeated.js';
import { textOf, type VerbContext } from '../verb.js';
import { addPlatformOption, defineAppVerb, platformOf } from './app-verb.js';

/** @throws ConfigurationError `CA_FILE_UNREADABLE` */
async function readTrustStore(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError('CA_FILE_UNREADABLE', `the trust store ${path} cannot be read`, { cause });
  }
}

/** `verify` */
export function addVerify(parent: Command, context: VerbContext): void {
  defineAppVerb(
    parent,
    context,
    {
      path: 'verify',
      operands: '<name>{:<tag>|@<digest>}',
      purpose: 'the artifact to verify',
      count: 1,
      summary: 'Have the app verify the Notary signatures of a manifest',
      examples: [
        [
          'Signed by somebody in particular',
          'acr-promoter verify --wait --trust-store ca.pem --identity "x509.subject: C=US, O=Example" --app https://myapp.azurewebsites.net myregistry.azurecr.io/samples/app:v1',
        ],
      ],
    },
    (command) => {
      command
        .requiredOption('--trust-store <path>', 'certificates that are trusted, PEM')
        .option(
          '--identity <identity>',
          'who may have signed, as in a notation trust policy; anybody as it comes',
          collect,
        );
      addPlatformOption(command);
    },
    async (reference, values) => {
      const identities = listOf(values.identity);
      const trustStore = await readTrustStore(textOf(values, 'trustStore') ?? '');
      const signature = { format: 'notary', trustStore, ...(identities.length > 0 && { identities }) };
      return { operation: 'verify', reference, ...platformOf(values), signatures: [signature] };
    },
  );
}
