import type { Command } from 'commander';
import { deleteManifest } from '../../oras/index.js';
import { addDeletionOptions, deletionOptions, deletionPrinter, printDeletion } from './deletion.js';
import { openNamed, readNamed } from '../connection/named-target.js';
import type { Session } from '../connection/session.js';
import { defineVerb, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'manifest delete',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the manifest to delete',
  count: 1,
  summary: 'Delete a manifest, with all tags that lead to it',
  aliases: ['remove', 'rm'],
  examples: [
    ['Asked before it is done', 'acr-promoter manifest delete localhost:5000/hello:v1'],
    ['In a script', 'acr-promoter manifest delete --force localhost:5000/hello:v1'],
    ['Print what was deleted', 'acr-promoter manifest delete --force --descriptor localhost:5000/hello:v1'],
  ],
};

export function addManifestDelete(parent: Command, context: VerbContext): void {
  const { io } = context;
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const options = deletionOptions(
      io,
      values,
      (digest) => `Are you sure you want to delete the manifest "${digest}" and all tags associated with it?`,
    );
    const { repository, target, tagOrDigest } = await openNamed(session, VERB, operandAt(operands, 0), values, {
      write: true,
    });
    printDeletion(io, values, target, await deleteManifest(repository, tagOrDigest, options));
  };
  const printer = deletionPrinter(io, (operands, values) => readNamed(VERB, operandAt(operands, 0), values).target);
  defineVerb(parent, context, VERB, addDeletionOptions, work, printer);
}
