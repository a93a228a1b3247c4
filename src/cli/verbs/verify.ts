import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { verifiedText } from '../output/evidence-lines.js';
import type { Io } from '../io.js';
import { recordIn, recordsIn, textIn } from '../output/job-output.js';
import { collect } from '../repeated.js';
import { addFormatOptions, formatResult, resultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import { trustedSignature } from './trust-store.js';
import { defineVerb, type JobResult, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'verify',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the artifact to verify',
  count: 1,
  summary: 'Verify the Notary Project signatures of a manifest, by a trust store or by rules',
  examples: [
    [
      'Signed by somebody in particular',
      'acr-promoter verify --trust-store ca.pem --identity "x509.subject: C=US, O=Example" myregistry.azurecr.io/samples/app:v1',
    ],
    ['As the rules ask that promote it', 'acr-promoter verify --rules rules.yaml myregistry.azurecr.io/samples/app:v1'],
    [
      'By the deployed app',
      'acr-promoter verify --submit --wait --trust-store ca.pem myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

async function verify(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const trusted = await trustedSignature(values);
  if (trusted !== undefined && (values.rules !== undefined || values.rule !== undefined)) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--trust-store, --rules cannot be used at the same time');
  }
  if (trusted === undefined && values.identity !== undefined) {
    throw new InputError('OPTION_REQUIRED', '--identity needs a --trust-store');
  }
  if (trusted === undefined && values.rules === undefined && io.env.PROMOTION_RULES === undefined) {
    throw new InputError('OPTION_REQUIRED', 'neither --trust-store nor --rules is given', {
      remedy: 'Name the certificates that are trusted, or the rules that name them.',
    });
  }
  const opened = await resolveTarget(session, VERB, { operands, values, io });
  const { policiesByRules, throwUnlessPassed, verifyTarget } = await import('../local/signatures.js');
  const policies =
    trusted === undefined ? await policiesByRules(io, opened, values) : [{ identities: ['*'], ...trusted }];
  const decision = await verifyTarget(io, opened, policies);
  const { repository, target, root } = opened;
  const { digest } = root;
  const reference = `${repository.name}@${digest}`;
  if (format.kind !== 'text') io.out(formatResult(format, { reference, digest, ...decision }));
  throwUnlessPassed(decision, reference);
  if (format.kind !== 'text' || !decision.passed) return;
  io.out(verifiedText(decision.evidence, `[${target.kind}] ${reference}`, digest));
}

/** What the app has found: where it doesn't pass, the job ends with the reasons. */
function printVerified(io: Io, values: Values): (result: JobResult) => void {
  const format = resultFormat(values);
  return ({ output }) => {
    const { reference: _, ...decision } = recordIn(output);
    const reference = textIn(output, 'reference');
    const digest = reference.slice(reference.lastIndexOf('@') + 1);
    if (format.kind !== 'text') io.out(formatResult(format, { reference, digest, ...decision }));
    else if (decision.passed === true) {
      const evidence = recordsIn(output, 'evidence').map((entry) => ({
        signedBy: textIn(entry, 'signedBy'),
        signature: textIn(entry, 'signature'),
      }));
      io.out(verifiedText(evidence, `[registry] ${reference}`, digest));
    }
  };
}

/** `verify` */
export function addVerify(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command
      .option('--trust-store <path>', 'certificates that are trusted, PEM')
      .option(
        '--identity <identity>',
        'who may have signed, as in a notation trust policy; anybody by default',
        collect,
      )
      .option(
        '--rules <path>',
        'instead: the rules document whose matching rules say who must have signed; by default $PROMOTION_RULES',
      )
      .option('--rule <name>', 'this rule of it, whatever its source');
    addFormatOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    verify(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare: (_operands, values) => printVerified(io, values),
  });
}
