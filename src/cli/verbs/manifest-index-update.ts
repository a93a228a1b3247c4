import type { Command } from 'commander';
import { run } from '../../operations/manifest-index-update.js';
import { defineOperation, openNamed, ownNames, readNamed } from '../operation-verb.js';
import { distributionSpecOf, listUnder } from '../option-values.js';
import { collect, listOf } from '../repeated.js';
import { operandAt, writtenOf, type VerbContext, type VerbDescription } from '../verb.js';
import {
  addIndexOptions,
  indexEvents,
  indexFiles,
  indexPrinter,
  updatedLine,
  writeIndexOutput,
} from './index-output.js';
import { refuseTogether } from '../errors.js';

const VERB: VerbDescription = {
  path: 'manifest index update',
  operands: '<index>{:<tag>|@<digest>} [{--add|--merge|--remove} <manifest>{<tag>|<digest>}] [...]',
  purpose: 'the target index to update',
  count: 1,
  summary: 'Add manifests to an index, remove others, and push the new index',
  examples: [
    [
      'Replace a manifest; the tag moves to the new index',
      'acr-promoter manifest index update localhost:5000/hello:v1 --add linux-arm64 --remove sha256:99e4…',
    ],
    [
      'Add all manifests of another index',
      'acr-promoter manifest index update localhost:5000/hello:v2 --merge v2-windows',
    ],
    [
      'Under new tags',
      'acr-promoter manifest index update localhost:5000/hello@sha256:99e4… --add linux-amd64 --tag v2.1.0 --tag v2',
    ],
    ['Remove the artifact type', 'acr-promoter manifest index update localhost:5000/hello:v1 --artifact-type ""'],
  ],
};

export function addManifestIndexUpdate(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--add <manifest>', 'tag or digest of a manifest to add; repeatable', collect)
      .option('--merge <index>', 'tag or digest of an index whose manifests are added; repeatable', collect)
      .option('--remove <digest>', 'digest of a manifest to remove; repeatable', collect)
      .option('--tag <tag>', 'another tag for the new index; repeatable', collect);
    addIndexOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'manifest.index.update',
    takes: ['add', 'merge', 'remove', 'tag', 'artifactType', 'distributionSpec'],
    input(operands, values) {
      const reference = operandAt(operands, 0);
      const target = readNamed(VERB, reference, values);
      refuseTogether(values, 'tag', 'output');
      const artifactType = writtenOf(values, 'artifactType');
      return {
        reference,
        ...listUnder('add', ownNames(target, listOf(values.add))),
        ...listUnder('merge', ownNames(target, listOf(values.merge))),
        ...listUnder('remove', listOf(values.remove)),
        ...listUnder('tags', ownNames(target, listOf(values.tag))),
        ...(artifactType !== undefined && { artifactType }),
        ...distributionSpecOf(values),
      };
    },
    async run(session, input, asked) {
      const { values } = asked;
      const { add, merge, remove, artifactType } = input;
      if (add === undefined && merge === undefined && remove === undefined && artifactType === undefined) {
        io.out('Nothing to update as no change is requested\n');
        return undefined;
      }
      const files = indexFiles(values);
      const opened = await openNamed(session, VERB, asked, { write: files.push === true });
      const event = indexEvents(io, {
        values,
        target: opened.target,
        names: [values.add, values.merge, values.tag].flatMap(listOf),
        madeLine: updatedLine,
      });
      const made = await run(opened, input, files, { signal: io.signal, event });
      await writeIndexOutput(io, values, made.bytes);
      return made;
    },
    print: indexPrinter(io, false, updatedLine),
  });
}
