import type { Command } from 'commander';
import { run } from '../../operations/resolve.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { platformOf } from '../option-values.js';
import { describedIn } from '../output/read-job-output.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'resolve',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the target artifact to resolve',
  count: 1,
  summary: 'Resolve a tag to its digest',
  aliases: ['digest'],
  examples: [
    ['The digest of an artifact', 'acr-promoter resolve localhost:5000/hello:v1'],
    ['The digest of one platform', 'acr-promoter resolve --platform linux/arm64 localhost:5000/hello:v1'],
  ],
};

export function addResolve(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('-l, --full-reference', 'print the full reference with the digest');
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'resolve',
    takes: ['platform'],
    shows: ['fullReference'],
    input: (operands, values) => ({ reference: operandAt(operands, 0), ...platformOf(values, io) }),
    run: async (session, input, asked) => run(await openNamed(session, VERB, asked), input, undefined, io),
    print({ output }, { values: { fullReference } }) {
      const { name, descriptor } = describedIn(output);
      io.out(fullReference === true ? `${name}@${descriptor.digest}\n` : `${descriptor.digest}\n`);
    },
  });
}
