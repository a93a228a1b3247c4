import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import type { VerifyInput } from '../../operations/verify.js';
import { readTarget } from '../connection/layout-options.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import type { Io } from '../io.js';
import { defineOperation, openNamed, readNamed } from '../operation-verb.js';
import { distributionSpecOf, platformOf } from '../option-values.js';
import { recordIn, recordsIn, textIn } from '../output/read-job-output.js';
import { addFormatOptions, formatResult } from '../output/result.js';
import { collect } from '../repeated.js';
import { operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { trustedSignature } from './trust-store.js';
import { refuseTogether } from '../errors.js';
import { onTerminal } from '../output/status-line.js';

const VERB: VerbDescription = {
  path: 'verify',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the artifact to verify',
  count: 1,
  summary: 'Verify Notary Project signatures with a trust store or rules',
  examples: [
    [
      'Signed by a certain identity',
      'acr-promoter verify --trust-store ca.pem --identity "x509.subject: C=US, O=Example" myregistry.azurecr.io/samples/app:v1',
    ],
    ['What the matching rules demand', 'acr-promoter verify --rules rules.yaml myregistry.azurecr.io/samples/app:v1'],
    [
      'In the app, as a job',
      'acr-promoter verify --submit --wait --trust-store ca.pem myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

/**
 * The policies to check: of a trust store, or of local rules.
 * @throws InputError `OPTIONS_EXCLUSIVE`, `OPTION_REQUIRED`
 */
async function policiesOf(io: Io, operands: readonly string[], values: Values): Promise<VerifyInput['signatures']> {
  const trusted = await trustedSignature(values);
  if (trusted === undefined && values.submit === true) {
    throw new InputError(
      'OPTION_REQUIRED',
      'required flag(s) "trust-store" not set: a job must contain the trusted certificates',
      { remedy: 'Add --trust-store PATH.' },
    );
  }
  refuseTogether(values, 'trustStore', 'rules', 'rule');
  if (trusted !== undefined) return [trusted];
  if (values.identity !== undefined)
    throw new InputError('OPTION_REQUIRED', '--identity needs a --trust-store', {
      remedy: 'Add --trust-store PATH.',
    });
  if (values.rules === undefined && io.env.PROMOTION_RULES === undefined) {
    throw new InputError('OPTION_REQUIRED', 'neither --trust-store nor --rules is given', {
      remedy: 'Give trusted certificates with --trust-store, or rules with --rules.',
    });
  }
  const { policiesByRules } = await import('../local/signatures.js');
  return policiesByRules(io, readNamed(VERB, operandAt(operands, 0), values), values);
}

/** `verify` */
export function addVerify(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--trust-store <path>', 'trusted certificates, PEM')
      .option(
        '--identity <identity>',
        'trusted signer, as in a notation trust policy; repeatable (default: anybody with a trusted certificate)',
        collect,
      )
      .option(
        '--rules <path>',
        'rules document; verify what its matching rules demand, instead of --trust-store (default $PROMOTION_RULES)',
      )
      .option('--rule <name>', 'only this rule, even if its source does not match');
    addFormatOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'verify',
    takes: ['trustStore', 'identity', 'distributionSpec', 'platform'],
    shows: ['format', 'template'],
    input: async (operands, values) => ({
      reference: operandAt(operands, 0),
      ...platformOf(values, io),
      signatures: await policiesOf(io, operands, values),
      ...distributionSpecOf(values),
    }),
    async run(session, input, asked) {
      const opened = await openNamed(session, VERB, asked);
      const { verifyTarget } = await import('../local/signatures.js');
      return verifyTarget(io, opened, input);
    },
    print({ output }, { operands, values, format }) {
      if (format.kind !== 'text') return io.out(formatResult(format, output));
      if (recordIn(output).passed !== true) return undefined;
      for (const entry of recordsIn(output, 'evidence')) {
        io.out(`Signed by ${onTerminal(textIn(entry, 'signedBy'))}: ${textIn(entry, 'signature')}\n`);
      }
      const { kind } = readTarget(operandAt(operands, 0), values);
      return io.out(`Verified [${kind}] ${textIn(output, 'reference')}\nDigest: ${textIn(output, 'digest')}\n`);
    },
  });
}
