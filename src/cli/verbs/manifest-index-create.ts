import type { Command } from 'commander';
import { run } from '../../operations/manifest-index-create.js';
import { parseAnnotationFlags } from '../../oras/index.js';
import { readTarget } from '../connection/layout-options.js';
import { defineOperation, openOperand, ownNames, severalTags } from '../operation-verb.js';
import { distributionSpecOf, textsOf } from '../option-values.js';
import { collect, listOf } from '../repeated.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import {
  addIndexOptions,
  indexEvents,
  indexFiles,
  indexPrinter,
  packedLine,
  writeIndexOutput,
} from './index-output.js';

const VERB: VerbDescription = {
  path: 'manifest index create',
  operands: '<target>[:<tag>[,<tag>][...]] <source>{<tag>|<digest>} [...]',
  purpose: 'the destination index to create',
  count: 1,
  orMore: true,
  summary: 'Create an index of manifests in one repository, and push it',
  aliases: ['pack'],
  examples: [
    ['Of two platforms', 'acr-promoter manifest index create localhost:5000/hello:v1 linux-amd64 linux-arm64'],
    ['Under several tags', 'acr-promoter manifest index create localhost:5000/hello:v1,latest linux-amd64 linux-arm64'],
    [
      'With an annotation',
      'acr-promoter manifest index create localhost:5000/hello:v1 linux-amd64 --annotation key=val',
    ],
    [
      'Print the index without pushing it',
      'acr-promoter manifest index create localhost:5000/hello linux-arm64 --output - --pretty',
    ],
  ],
};

export function addManifestIndexCreate(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('-a, --annotation <key=value>', 'annotation of the index; repeatable', collect);
    addIndexOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'manifest.index.create',
    takes: ['annotation', 'artifactType', 'distributionSpec'],
    input(operands, values) {
      const target = readTarget(operandAt(operands, 0), values, { severalTags: true });
      const annotations = listOf(values.annotation);
      return {
        ...severalTags(target),
        manifests: ownNames(target, operands.slice(1)),
        ...(annotations.length > 0 && { annotations: parseAnnotationFlags(annotations) }),
        ...textsOf(values, 'artifactType'),
        ...distributionSpecOf(values),
      };
    },
    async run(session, input, { operands, values }) {
      const files = indexFiles(values);
      const opened = await openOperand(session, operands, values, {
        create: true,
        write: files.push === true,
        severalTags: true,
      });
      const event = indexEvents(io, {
        values,
        target: opened.target,
        names: operands.slice(1),
        madeLine: packedLine,
      });
      const made = await run(opened, input, files, { signal: io.signal, event });
      await writeIndexOutput(io, values, made.bytes);
      return made;
    },
    print: indexPrinter(io, true, packedLine),
  });
}
