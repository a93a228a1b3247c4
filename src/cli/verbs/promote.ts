import type { Command } from 'commander';
import { formatReference, InputError, parseReference } from '../../oci/index.js';
import { addConnectionOptions, addDebugOption } from '../connection/connection.js';
import type { Io } from '../io.js';
import { promotionLines } from '../output/promotion-lines.js';
import { addFormatOptions, formatResult, resultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addSigningOptions } from './signing-options.js';
import { addTtyOption } from '../output/transfers.js';
import { defineVerb, operandAt, type JobResult, type Values, type VerbContext, type VerbDescription } from '../verb.js';

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

/** @throws InputError `REFERENCE_INVALID` */
function parseSource(text: string): { registry: string; repository: string; tag: string } {
  const { registry, repository, tag, digest } = parseReference(text);
  if (tag !== undefined && digest === undefined) return { registry, repository, tag };
  throw new InputError('REFERENCE_INVALID', `${text} is not a tag: a promotion is of a tag`, {
    remedy: 'Name the tag that is to be promoted.',
  });
}

async function promote(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const source = parseSource(operandAt(operands, 0));
  const { promoteByRules } = await import('../local/promote-by-rules.js');
  const tell = (line: string): void => {
    if (format.kind === 'text') io.out(`${line}\n`);
  };
  const { promotions, failures } = await promoteByRules(io, session, source, values, tell);
  if (format.kind !== 'text') io.out(formatResult(format, { promotions }));
  if (failures.length > 0) throw failures[0];
}

/** What the app's promotions of the tag have come to. */
function printPromoted(io: Io, operands: readonly string[], values: Values): (result: JobResult) => Promise<void> {
  const format = resultFormat(values);
  const source = parseSource(operandAt(operands, 0));
  const { registry, repository, tag } = source;
  return async ({ outcome, ask }) => {
    const query = new URLSearchParams({ repository: `${registry}/${repository}`, tag });
    const { readPromotions } = await import('../app/seeing-answers.js');
    const { items } = readPromotions(await ask(`promotions?${query.toString()}`));
    const promotions = items.map(({ rule, destination, state, last }) => ({
      rule,
      source: formatReference(source),
      destination,
      // Of several, the job has the worst.
      outcome: items.length === 1 ? outcome : (last?.outcome ?? state),
      ...(last?.digest !== undefined && { digest: last.digest }),
      ...(last?.reason !== undefined && { reason: last.reason }),
    }));
    if (format.kind !== 'text') io.out(formatResult(format, { promotions }));
    else for (const line of promotions.flatMap(promotionLines)) io.out(`${line}\n`);
  };
}

/** `promote` */
export function addPromote(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command
      .option('--rules <path>', 'the rules document, YAML or JSON; by default $PROMOTION_RULES')
      .option('--rule <name>', 'only by this rule of it');
    addSigningOptions(command);
    addFormatOptions(command);
    addTtyOption(command);
    addConnectionOptions(command, 'from');
    addDebugOption(addConnectionOptions(command, 'to'));
  };
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    promote(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare: (operands, values) => printPromoted(io, operands, values),
  });
}
