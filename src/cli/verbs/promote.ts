import type { Command } from 'commander';
import { InputError, parseReference } from '../../oci/index.js';
import { addConnectionOptions, addDebugOption } from '../connection.js';
import type { Io } from '../io.js';
import { addFormatOptions, formatResult, resultFormat } from '../result.js';
import type { Session } from '../session.js';
import { addSigningOptions } from '../signing-options.js';
import { addTtyOption } from '../transfers.js';
import { defineVerb, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'promote',
  operands: '<name>:<tag>',
  purpose: 'the image to promote',
  count: 1,
  summary: 'Promote a tag as rules say: gate, SBOMs, signatures, copy with all that refers to it, tag',
  examples: [
    [
      'By rules of this machine, signed with a key of this machine',
      'acr-promoter promote --rules rules.yaml --signing-key key.pem --certificate-chain chain.pem myregistry.azurecr.io/samples/app:v1',
    ],
    ['By one rule of them', 'acr-promoter promote --rules rules.yaml --rule staging localhost:5000/samples/app:v1'],
    [
      'By the deployed app, which waits for signatures that are still to come',
      'acr-promoter promote --submit --wait --app https://myapp.azurewebsites.net myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

async function promote(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const text = operandAt(operands, 0);
  const { registry, repository, tag, digest } = parseReference(text);
  if (tag === undefined || digest !== undefined) {
    throw new InputError('REFERENCE_INVALID', `${text} is not a tag: a promotion is of a tag`, {
      remedy: 'Name the tag that is to be promoted.',
    });
  }
  const { promoteByRules } = await import('../desk/promote-by-rules.js');
  const tell = (line: string): void => {
    if (format.kind === 'text') io.out(`${line}\n`);
  };
  const { promotions, failures } = await promoteByRules(io, session, { registry, repository, tag }, values, tell);
  if (format.kind !== 'text') io.out(formatResult(format, { promotions }));
  if (failures.length > 0) throw failures[0];
}

/** `promote` */
export function addPromote(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command
      .option('--rules <path>', 'the rules document, YAML or JSON; as it comes $PROMOTION_RULES')
      .option('--rule <name>', 'only by this rule of it');
    addSigningOptions(command);
    addFormatOptions(command);
    addTtyOption(command);
    addConnectionOptions(command, 'from');
    addDebugOption(addConnectionOptions(command, 'to'));
  };
  defineVerb(parent, context, VERB, addOptions, (session, operands, values) =>
    promote(context.io, session, operands, values),
  );
}
