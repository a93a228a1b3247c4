import type { Command } from 'commander';
import { deleteBlob } from '../../oras/index.js';
import { openBlobTarget, parseBlobTarget } from '../connection/blob-target.js';
import { addDeletionOptions, deletionOptions, deletionPrinter, printDeletion } from './deletion.js';
import type { Session } from '../connection/session.js';
import { defineVerb, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'blob delete',
  operands: '<name>@<digest>',
  purpose: 'the target blob to delete',
  count: 1,
  summary: 'Delete a blob',
  aliases: ['remove', 'rm'],
  examples: [
    ['Asked before it is done', 'acr-promoter blob delete localhost:5000/hello@sha256:9a20…'],
    ['In a script', 'acr-promoter blob delete --force localhost:5000/hello@sha256:9a20…'],
    ['Print what was deleted', 'acr-promoter blob delete --force --descriptor localhost:5000/hello@sha256:9a20…'],
  ],
};

export function addBlobDelete(parent: Command, context: VerbContext): void {
  const { io } = context;
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const options = deletionOptions(io, values, (digest) => `Are you sure you want to delete the blob "${digest}"?`);
    const { repository, target, digest } = await openBlobTarget(session, VERB, operandAt(operands, 0), values, {
      write: true,
    });
    printDeletion(io, values, target, await deleteBlob(repository, digest, options));
  };
  const printer = deletionPrinter(io, (operands, values) => parseBlobTarget(operandAt(operands, 0), values).target);
  defineVerb(parent, context, VERB, addDeletionOptions, work, printer);
}
