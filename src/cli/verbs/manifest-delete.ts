import type { Command } from 'commander';
import { run } from '../../operations/manifest-delete.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { distributionSpecOf } from '../option-values.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { addDeletionOptions, deletionOptions, deletionPrinter, checkDeletion } from './deletion.js';

const VERB: VerbDescription = {
  path: 'manifest delete',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the manifest to delete',
  count: 1,
  summary: 'Delete a manifest and all its tags',
  aliases: ['remove', 'rm'],
  examples: [
    ['With a confirmation', 'acr-promoter manifest delete localhost:5000/hello:v1'],
    ['In a script', 'acr-promoter manifest delete --force localhost:5000/hello:v1'],
    ['Print what was deleted', 'acr-promoter manifest delete --force --descriptor localhost:5000/hello:v1'],
  ],
};

export function addManifestDelete(parent: Command, context: VerbContext): void {
  const { io } = context;
  const question = (digest: string): string =>
    `Are you sure you want to delete the manifest "${digest}" and all tags associated with it?`;
  defineOperation(parent, context, VERB, addDeletionOptions, {
    operation: 'manifest.delete',
    takes: ['force', 'distributionSpec'],
    shows: ['descriptor', 'pretty'],
    input(operands, values) {
      checkDeletion(values);
      return { reference: operandAt(operands, 0), ...distributionSpecOf(values) };
    },
    run: async (session, input, asked) =>
      run(
        await openNamed(session, VERB, asked, { write: true }),
        input,
        deletionOptions(io, asked.values, question),
        io,
      ),
    print: deletionPrinter(io),
  });
}
