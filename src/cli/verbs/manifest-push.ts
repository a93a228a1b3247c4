import type { Command } from 'commander';
import { MANIFEST_BYTES } from '../../oci/index.js';
import { run } from '../../operations/manifest-push.js';
import { readTarget } from '../connection/layout-options.js';
import { addTargetOptions } from '../connection/single-target.js';
import { firstOf, type Target } from '../connection/target.js';
import { readOperand } from '../files.js';
import { defineOperation, openOperand, severalTags } from '../operation-verb.js';
import { addConcurrencyOption, concurrencyOf, distributionSpecOf, textsOf } from '../option-values.js';
import { describedIn, textsIn } from '../output/read-job-output.js';
import { formatStatus } from '../output/status-line.js';
import { operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { descriptorText } from './print-fetched.js';
import { checkInput } from '../connection/blob-target.js';

const VERB: VerbDescription = {
  path: 'manifest push',
  operands: '<name>[:<tag>[,<tag>][...]|@<digest>] <file>',
  purpose: 'the destination to push to and the file to read manifest content from',
  count: 2,
  summary: 'Push a manifest byte for byte',
  examples: [
    ['From a file', 'acr-promoter manifest push localhost:5000/hello:v1 manifest.json'],
    ['From standard input, under several tags', 'acr-promoter manifest push localhost:5000/hello:v1,latest -'],
    [
      'A manifest without a media type',
      'acr-promoter manifest push --media-type application/vnd.oci.image.manifest.v1+json localhost:5000/hello:v1 m.json',
    ],
    ['Print its descriptor', 'acr-promoter manifest push --descriptor localhost:5000/hello:v1 manifest.json'],
  ],
};

const STATES = { uploading: 'Uploading', uploaded: 'Uploaded ', exists: 'Exists   ' } as const;

export function addManifestPush(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--descriptor', 'print only the descriptor')
      .option('--pretty', 'indent the JSON')
      .option('--media-type <type>', 'media type of the manifest (default: its field mediaType)');
    addConcurrencyOption(command, 'tags to write at once (default 5)');
    addTargetOptions(command);
  };
  const targetOf = (operands: readonly string[], values: Values): Target =>
    readTarget(operandAt(operands, 0), values, { severalTags: true });
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'manifest.push',
    takes: ['distributionSpec', 'mediaType', 'concurrency'],
    shows: ['descriptor', 'pretty'],
    input(operands, values) {
      const path = operandAt(operands, 1);
      checkInput(path, values);
      return {
        ...severalTags(targetOf(operands, values)),
        file: { path },
        ...textsOf(values, 'mediaType'),
        ...concurrencyOf(values),
        ...distributionSpecOf(values),
      };
    },
    async run(session, input, { operands, values }) {
      const bytes = await readOperand(input.file.path, MANIFEST_BYTES, io);
      const opened = await openOperand(session, operands, values, { create: true, severalTags: true });
      return run(opened, input, bytes, {
        signal: io.signal,
        event(event) {
          if (event.state !== 'tagged' && values.descriptor !== true) {
            io.out(formatStatus(STATES[event.state], event.descriptor));
          }
        },
      });
    },
    print({ output }, { operands, values }) {
      const target = targetOf(operands, values);
      const { descriptor } = describedIn(output);
      const [, ...others] = textsIn(output, 'tags');
      const lines = others.map((tag) => `Tagged ${tag}\n`).join('');
      if (values.descriptor === true) io.out(descriptorText(descriptor, values));
      else io.out(`Pushed: [${target.kind}] ${firstOf(target)}\n${lines}Digest: ${descriptor.digest}\n`);
    },
  });
}
