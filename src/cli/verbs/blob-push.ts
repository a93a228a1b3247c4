import type { Command } from 'commander';
import { run } from '../../operations/blob-push.js';
import { checkBlobInput, parseBlobTarget, sizeOf } from '../connection/blob-target.js';
import { addTargetOptions } from '../connection/single-target.js';
import { withOperandBody } from '../files.js';
import { defineOperation, openOperand } from '../operation-verb.js';
import { textsOf } from '../option-values.js';
import { describedIn } from '../output/read-job-output.js';
import { addTtyOption, tellUpload, withTransfers } from '../output/transfers.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { descriptorText } from './print-fetched.js';
import { readTarget } from '../connection/layout-options.js';

const VERB: VerbDescription = {
  path: 'blob push',
  operands: '<name>[@digest] <file>',
  purpose: 'the destination to push to and the file to read blob content from',
  count: 2,
  summary: 'Push a file as a blob',
  examples: [
    ['A file', 'acr-promoter blob push localhost:5000/hello hi.txt'],
    ['A file that must have this digest', 'acr-promoter blob push localhost:5000/hello@sha256:9a20… hi.txt'],
    ['Standard input', 'acr-promoter blob push --size 12 localhost:5000/hello@sha256:9a20… -'],
    ['Print its descriptor', 'acr-promoter blob push --descriptor localhost:5000/hello hi.txt'],
  ],
};

export function addBlobPush(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--size <bytes>', 'expected size; required for standard input')
      .option('--media-type <type>', 'media type in the printed descriptor; it is not stored')
      .option('--descriptor', 'print only the descriptor')
      .option('--pretty', 'indent the JSON');
    addTtyOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'blob.push',
    takes: ['mediaType', 'size'],
    shows: ['descriptor', 'pretty'],
    input([reference = '', path = ''], values) {
      checkBlobInput(path, values, parseBlobTarget(reference, values).digest);
      const size = sizeOf(values);
      return { reference, ...(size !== undefined && { size }), file: { path, ...textsOf(values, 'mediaType') } };
    },
    run: (session, input, { operands, values }) =>
      withOperandBody(input.file.path, io, async (open) => {
        const opened = await openOperand(session, operands, values, { create: true });
        return withTransfers(io, values, { lines: values.descriptor !== true }, (transfers) =>
          run(opened, input, open, { signal: io.signal, event: (progress) => tellUpload(transfers, progress) }),
        );
      }),
    print({ output }, { operands, values }) {
      const { kind, text } = readTarget(operandAt(operands, 0), values);
      const { descriptor } = describedIn(output);
      if (values.descriptor === true) io.out(descriptorText(descriptor, values));
      else io.out(`Pushed: [${kind}] ${text}\nDigest: ${descriptor.digest}\n`);
    },
  });
}
