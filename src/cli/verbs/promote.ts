import type { Command } from 'commander';
import { InputError, parseReference } from '../../oci/index.js';
import { addConnectionOptions, addDebugOption } from '../connection/connection.js';
import { defineOperation } from '../operation-verb.js';
import { textsOf } from '../option-values.js';
import { addFormatOptions, formatResult } from '../output/result.js';
import { addTtyOption } from '../output/transfers.js';
import { operandAt, submitMissing, type VerbContext, type VerbDescription } from '../verb.js';
import { addSigningOptions } from './signing-options.js';
import { printOutcomes, outcomeOf } from '../output/promotion-lines.js';

const VERB: VerbDescription = {
  path: 'promote',
  operands: '<name>:<tag>',
  purpose: 'the image to promote',
  count: 1,
  summary: 'Promote a tag by rules: check evidence, attach SBOMs and signatures, copy with referrers, tag',
  examples: [
    [
      'With rules and a key on this machine',
      'acr-promoter promote --rules rules.yaml --signing-key key.pem --certificate-chain chain.pem myregistry.azurecr.io/samples/app:v1',
    ],
    ['Print what it would do', 'acr-promoter promote --dry-run --rules rules.yaml localhost:5000/samples/app:v1'],
    ['By one rule only', 'acr-promoter promote --rules rules.yaml --rule staging localhost:5000/samples/app:v1'],
    [
      'By the deployed app, which waits for missing signatures',
      'acr-promoter promote --submit --wait --app https://myapp.azurewebsites.net myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

/** @throws InputError `REFERENCE_INVALID` */
function parseSource(text: string): { registry: string; repository: string; tag: string } {
  const { registry, repository, tag, digest } = parseReference(text);
  if (tag !== undefined && digest === undefined) return { registry, repository, tag };
  throw new InputError('REFERENCE_INVALID', `${text} is not a tag`, {
    remedy: 'Write it as <registry>/<name>:<tag>; only tags can be promoted.',
  });
}

/** `promote` */
export function addPromote(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--rules <path>', 'the rules document, YAML or JSON (default $PROMOTION_RULES)')
      .option('--rule <name>', 'only this rule')
      .option('--dry-run', 'print what would be attached, copied and mounted, with sizes in bytes; nothing is written')
      .option('--reason <text>', 'with --submit: why you ask; runs show prints it');
    addSigningOptions(command);
    addFormatOptions(command);
    addTtyOption(command);
    addConnectionOptions(command, 'from');
    addDebugOption(addConnectionOptions(command, 'to'));
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'promote',
    takes: ['reason'],
    shows: ['format', 'template'],
    input(operands, values) {
      const source = operandAt(operands, 0);
      parseSource(source);
      if (values.submit !== true && values.reason !== undefined) throw submitMissing(['reason']);
      if (values.reason === '') {
        throw new InputError('OPTION_INVALID', 'invalid argument "" for "--reason" flag', {
          remedy: 'Give a reason, or omit the option.',
        });
      }
      return { source, ...textsOf(values, 'reason') };
    },
    async run(session, { source }, { values, format }) {
      const { promoteByRules } = await import('../local/promote-by-rules.js');
      const tell = (line: string): void => {
        if (format.kind === 'text') io.out(`${line}\n`);
      };
      const { promotions, failures } = await promoteByRules(io, session, parseSource(source), values, tell);
      const [refusal] = failures;
      return { output: { promotions }, ...(refusal && { refusal }) };
    },
    async print({ output, job }, { operands, format }) {
      if (job === undefined) {
        // The lines are printed as the promotion goes on.
        if (format.kind !== 'text') io.out(formatResult(format, output));
        return;
      }
      const source = parseSource(operandAt(operands, 0));
      const query = new URLSearchParams({ repository: `${source.registry}/${source.repository}`, tag: source.tag });
      const { readPromotions } = await import('../app/answers.js');
      const { items } = readPromotions(await job.ask(`promotions?${query.toString()}`));
      // A job of several promotions has the worst outcome.
      const outcome = items.length === 1 ? job.outcome : undefined;
      printOutcomes(
        io,
        format,
        items.map((row) => outcomeOf(row, outcome)),
      );
    },
  });
}
