import type { Command } from 'commander';
import { run } from '../../operations/tags.js';
import { addTargetOptions } from '../connection/single-target.js';
import { defineOperation, openOperand } from '../operation-verb.js';
import { flagsOf, textsOf } from '../option-values.js';
import { textsIn } from '../output/read-job-output.js';
import { addFormatOptions, formatResult } from '../output/result.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'repo tags',
  operands: '<name>[:<tag>|@<digest>]',
  purpose: 'the target repository to list tags from',
  count: 1,
  summary: 'List the tags of a repository',
  aliases: ['show-tags'],
  examples: [
    ['All tags', 'acr-promoter repo tags localhost:5000/hello'],
    ['Other tags of the same manifest', 'acr-promoter repo tags localhost:5000/hello:v1'],
    ['Tags of an OCI image layout', 'acr-promoter repo tags --oci-layout layout-dir'],
  ],
};

export function addRepoTags(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--last <tag>', 'start after this tag, in byte order')
      .option('--exclude-digest-tags', 'leave out tags that only name a digest (sha256-…)');
    addFormatOptions(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'tags',
    takes: ['last', 'excludeDigestTags'],
    shows: ['format', 'template'],
    input: (operands, values) => ({
      reference: operandAt(operands, 0),
      ...textsOf(values, 'last'),
      ...flagsOf(values, 'excludeDigestTags'),
    }),
    run: async (session, input, { operands, values }) =>
      run(await openOperand(session, operands, values), input, undefined, io),
    print({ output }, { format }) {
      const tags = textsIn(output, 'tags');
      io.out(format.kind === 'text' ? tags.map((tag) => `${tag}\n`).join('') : formatResult(format, { tags }));
    },
  });
}
