import type { Command } from 'commander';
import { addFormatOptions } from '../output/result.js';
import { defineVerb, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'certificate create',
  operands: '<key>',
  purpose: 'the key that the certificate is for',
  count: 1,
  summary: 'Create a signing certificate for a key: self-signed, or a request for a certificate authority',
  examples: [
    [
      'For a key in Key Vault, with the account of az login',
      'acr-promoter certificate create https://myvault.vault.azure.net/keys/signing --subject "C=US, ST=WA, O=Example, CN=release" -o signing.pem',
    ],
    [
      'In a script: only if the certificate in the file is for another key, or expires within 60 days',
      'acr-promoter certificate create key.pem --subject "C=US, ST=WA, O=Example, CN=release" -o signing.pem --renew-within 60',
    ],
    [
      'A request for a certificate authority',
      'acr-promoter certificate create key.pem --subject "C=US, ST=WA, O=Example, CN=release" --csr -o signing.csr',
    ],
  ],
};

/** `certificate create` */
export function addCertificateCreate(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command
      .option('--subject <name>', 'subject of the certificate: "C=US, ST=WA, O=Example, CN=release"; CN is required')
      .option('--days <number>', 'days that a self-signed certificate is valid', '365')
      .option(
        '--csr',
        'create a certificate request (PKCS #10) for a certificate authority, not a self-signed certificate',
      )
      .option('-o, --output <file>', 'file to write, PEM; - is standard output', '-')
      .option(
        '--renew-within <days>',
        'change nothing if the certificate in the output file is for this key and valid for more than this number of days',
      );
    addFormatOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (_session, operands, values) => {
    // Loaded when it is needed: signing is a fifth of the program.
    const { createCertificate } = await import('../local/create-certificate.js');
    await createCertificate(context.io, operands, values);
  });
}
