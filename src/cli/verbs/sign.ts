import type { Command } from 'commander';
import { readTarget } from '../connection/layout-options.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { nameOf } from '../connection/target.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { distributionSpecOf, platformOf } from '../option-values.js';
import { recordsIn, textIn } from '../output/read-job-output.js';
import { addFormatOptions, formatResult } from '../output/result.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { addSigningOptions } from './signing-options.js';
import { onTerminal } from '../output/status-line.js';

const VERB: VerbDescription = {
  path: 'sign',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the artifact to sign',
  count: 1,
  summary:
    'Attach a Notary Project signature to a manifest, with a key on this machine; with --submit, with the key of the app',
  examples: [
    [
      'With a key on this machine',
      'acr-promoter sign --signing-key key.pem --certificate-chain chain.pem localhost:5000/hello:v1',
    ],
    ['An index and its manifests', 'acr-promoter sign -r myregistry.azurecr.io/samples/app:v1'],
    ['With the key of the app', 'acr-promoter sign -r --submit --wait myregistry.azurecr.io/samples/app:v1'],
  ],
};

/** `sign` */
export function addSign(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('-r, --recursive', 'also sign the manifests of an index');
    addFormatOptions(command);
    addPlatformOption(command);
    addSigningOptions(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'sign',
    takes: ['recursive', 'distributionSpec', 'platform'],
    shows: ['format', 'template'],
    input: (operands, values) => ({
      reference: operandAt(operands, 0),
      recursive: values.recursive === true,
      ...platformOf(values, io),
      ...distributionSpecOf(values),
    }),
    async run(session, input, asked) {
      const opened = await openNamed(session, VERB, asked);
      const { signTarget } = await import('../local/signatures.js');
      return signTarget(io, opened, input, asked.values);
    },
    print({ output, digest = '' }, { operands, values, format }) {
      const target = readTarget(operandAt(operands, 0), values);
      const signed = recordsIn(output, 'signed').map((entry) => ({
        digest: textIn(entry, 'digest'),
        label: textIn(entry, 'label'),
        signature: textIn(entry, 'signature'),
        made: entry.made === true,
      }));
      const reference = `${nameOf(target)}@${digest}`;
      if (format.kind !== 'text') return io.out(formatResult(format, { reference, digest, signed }));
      for (const each of signed) {
        io.out(`${each.made ? 'Signed' : 'Exists'} ${onTerminal(each.label)} ${each.digest}: ${each.signature}\n`);
      }
      return io.out(`Signed [${target.kind}] ${reference}\nDigest: ${digest}\n`);
    },
  });
}
