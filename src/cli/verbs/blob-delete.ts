import type { Command } from 'commander';
import { run } from '../../operations/blob-delete.js';
import { checkBlob } from '../connection/blob-target.js';
import { defineOperation, openOperand } from '../operation-verb.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { addDeletionOptions, deletionOptions, deletionPrinter, checkDeletion } from './deletion.js';

const VERB: VerbDescription = {
  path: 'blob delete',
  operands: '<name>@<digest>',
  purpose: 'the target blob to delete',
  count: 1,
  summary: 'Delete a blob',
  aliases: ['remove', 'rm'],
  examples: [
    ['With a confirmation', 'acr-promoter blob delete localhost:5000/hello@sha256:9a20…'],
    ['In a script', 'acr-promoter blob delete --force localhost:5000/hello@sha256:9a20…'],
    ['Print what was deleted', 'acr-promoter blob delete --force --descriptor localhost:5000/hello@sha256:9a20…'],
  ],
};

export function addBlobDelete(parent: Command, context: VerbContext): void {
  const { io } = context;
  const question = (digest: string): string => `Are you sure you want to delete the blob "${digest}"?`;
  defineOperation(parent, context, VERB, addDeletionOptions, {
    operation: 'blob.delete',
    takes: ['force'],
    shows: ['descriptor', 'pretty'],
    input(operands, values) {
      checkDeletion(values);
      return { reference: operandAt(operands, 0) };
    },
    async run(session, input, { operands, values }) {
      checkBlob(VERB, operandAt(operands, 0), values);
      const opened = await openOperand(session, operands, values, { write: true });
      return run(opened, input, deletionOptions(io, values, question), io);
    },
    print: deletionPrinter(io),
  });
}
