import type { Command } from 'commander';
import { InputError, PromoterError, type Descriptor } from '../../oci/index.js';
import { run } from '../../operations/blob-fetch.js';
import { checkBlob } from '../connection/blob-target.js';
import { addTargetOptions } from '../connection/single-target.js';
import { writeOutput, writeStream } from '../files.js';
import type { Io } from '../io.js';
import { defineOperation, openOperand } from '../operation-verb.js';
import { bytesIn, describedIn, recordIn } from '../output/read-job-output.js';
import { addTtyOption, withTransfers } from '../output/transfers.js';
import { operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { descriptorText, descriptorAlone } from './print-fetched.js';

const VERB: VerbDescription = {
  path: 'blob fetch',
  operands: '{--output <file> | --descriptor} <name>@<digest>',
  purpose: 'the target blob to fetch',
  count: 1,
  summary: 'Fetch a blob and verify its digest',
  aliases: ['get'],
  examples: [
    ['Save a blob to a file', 'acr-promoter blob fetch --output layer.tar.gz localhost:5000/hello@sha256:9a20…'],
    ['To standard output', 'acr-promoter blob fetch --output - localhost:5000/hello@sha256:9a20…'],
    ['Its descriptor', 'acr-promoter blob fetch --descriptor localhost:5000/hello@sha256:9a20…'],
    ['From an OCI image layout', 'acr-promoter blob fetch --oci-layout --output - layout.tar@sha256:9a20…'],
  ],
};

/** @throws InputError `OPTION_MISSING`, `OPTIONS_EXCLUSIVE` */
function checkOptions(values: Values): void {
  descriptorAlone(values);
  if (textOf(values, 'output') === undefined && values.descriptor !== true) {
    throw new InputError('OPTION_MISSING', 'either `--output` or `--descriptor` must be provided', {
      remedy: 'Add --output PATH (- for standard output), or --descriptor.',
    });
  }
}

/** A small blob is in the output of the job; a large one is in the app's storage. */
async function writeFromJob(io: Io, path: string, output: unknown, descriptor: Descriptor): Promise<void> {
  const { blob } = recordIn(output);
  if (typeof blob === 'string') {
    throw new PromoterError(
      'OUTPUT_NOT_HERE',
      `the blob has ${descriptor.size} bytes: it is target/${blob} in the app’s storage`,
      {
        remedy: 'Download it from the container “target”, or leave --submit out.',
      },
    );
  }
  const bytes = bytesIn(output, descriptor);
  if (path === '-') io.out(bytes);
  else await writeOutput(path, bytes);
}

export function addBlobFetch(parent: Command, context: VerbContext): void {
  const { io } = context;
  const { signal } = io;
  const addOptions = (command: Command): void => {
    command
      .option('-o, --output <path>', 'write the blob to this file; - for standard output')
      .option('--descriptor', 'print the descriptor')
      .option('--pretty', 'indent the JSON');
    addTtyOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'blob.fetch',
    takes: ['output'],
    shows: ['output', 'descriptor', 'pretty'],
    input([reference = ''], values) {
      if (values.submit !== true || values.wait === true) checkOptions(values);
      const output = textOf(values, 'output') ?? '-';
      // Without --wait nothing is written here: the app keeps the blob under that name.
      return { reference, ...(output !== '-' && values.wait !== true && { output }) };
    },
    async run(session, input, { operands, values }) {
      checkBlob(VERB, operandAt(operands, 0), values);
      const output = textOf(values, 'output');
      const opened = await openOperand(session, operands, values);
      return withTransfers(io, values, { lines: false, toOutput: output === '-' }, (transfers) =>
        run(
          opened,
          input,
          async ({ descriptor, open }) => {
            if (output === undefined) return {};
            transfers.start('Downloading', descriptor);
            if (output === '-') await io.outStream(await open());
            else await writeStream(output, await open(), signal);
            transfers.end('Downloaded', descriptor);
            return {};
          },
          { signal, event: ({ descriptor, moreBytes }) => transfers.move(descriptor, moreBytes) },
        ),
      );
    },
    async print({ output, job }, { values }) {
      const path = textOf(values, 'output');
      const { descriptor } = describedIn(output);
      if (job !== undefined && path !== undefined) await writeFromJob(io, path, output, descriptor);
      if (values.descriptor === true) io.out(descriptorText(descriptor, values));
    },
  });
}
