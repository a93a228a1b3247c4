import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { fetchBlob, formatDescriptor } from '../../oras/index.js';
import { openBlobTarget } from '../blob-target.js';
import { writeStream } from '../files.js';
import { addTargetOptions } from '../single-target.js';
import { addTtyOption, withTransfers } from '../transfers.js';
import { defineVerb, operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'blob fetch',
  operands: '{--output <file> | --descriptor} <name>@<digest>',
  purpose: 'the target blob to fetch',
  count: 1,
  summary: 'Fetch a blob, and see that it is what its digest says',
  aliases: ['get'],
  examples: [
    ['Into a file', 'acr-promoter blob fetch --output layer.tar.gz localhost:5000/hello@sha256:9a20…'],
    ['To standard output', 'acr-promoter blob fetch --output - localhost:5000/hello@sha256:9a20…'],
    ['Its descriptor', 'acr-promoter blob fetch --descriptor localhost:5000/hello@sha256:9a20…'],
    ['Out of an OCI image layout', 'acr-promoter blob fetch --oci-layout --output - layout.tar@sha256:9a20…'],
  ],
};

export function addBlobFetch(parent: Command, context: VerbContext): void {
  const { io } = context;
  const { signal } = io;
  const addOptions = (command: Command): void => {
    command
      .option('-o, --output <path>', 'write the blob to this file; - for standard output')
      .option('--descriptor', 'print the descriptor')
      .option('--pretty', 'lay the JSON out for reading');
    addTtyOption(command);
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const output = textOf(values, 'output');
    const withDescriptor = values.descriptor === true;
    if (output === undefined && !withDescriptor) {
      throw new InputError('OPTION_MISSING', 'either `--output` or `--descriptor` must be provided');
    }
    if (output === '-' && withDescriptor) {
      throw new InputError('OPTIONS_EXCLUSIVE', '`--output -` cannot be used with `--descriptor` at the same time');
    }
    const { repository, digest } = await openBlobTarget(session, VERB, operandAt(operands, 0), values);
    const bars = { lines: false, toOutput: output === '-' };
    const descriptor = await withTransfers(io, values, bars, async (transfers) => {
      const blob = await fetchBlob(repository, digest, {
        signal,
        onProgress: (moving) => transfers.move(moving.descriptor, moving.moreBytes),
      });
      if (output === undefined) return blob.descriptor;
      transfers.start('Downloading', blob.descriptor);
      if (output === '-') await io.outStream(await blob.open());
      else await writeStream(output, await blob.open(), signal);
      transfers.end('Downloaded', blob.descriptor);
      return blob.descriptor;
    });
    if (withDescriptor)
      io.out(values.pretty === true ? `${formatDescriptor(descriptor, 2)}\n` : formatDescriptor(descriptor));
  });
}
