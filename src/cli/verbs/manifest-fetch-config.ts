import type { Command } from 'commander';
import { run } from '../../operations/manifest-fetch-config.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { platformOf } from '../option-values.js';
import { bytesIn, describedIn } from '../output/read-job-output.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { descriptorAlone, printFetched } from './print-fetched.js';

const VERB: VerbDescription = {
  path: 'manifest fetch-config',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the manifest config to fetch',
  count: 1,
  summary: 'Fetch the config of a manifest, byte for byte',
  aliases: ['get-config'],
  examples: [
    ['The config', 'acr-promoter manifest fetch-config localhost:5000/hello:v1'],
    ['The config of one platform', 'acr-promoter manifest fetch-config --platform linux/arm64 localhost:5000/hello:v1'],
    ['Its descriptor', 'acr-promoter manifest fetch-config --descriptor localhost:5000/hello:v1'],
    ['Into a file', 'acr-promoter manifest fetch-config --output config.json localhost:5000/hello:v1'],
  ],
};

export function addManifestFetchConfig(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--descriptor', 'print the descriptor of the config in the manifest')
      .option('--pretty', 'indent the JSON')
      .option('-o, --output <path>', 'write the config to this file; - for standard output');
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'manifest.fetchConfig',
    takes: ['platform', 'descriptor'],
    shows: ['descriptor', 'pretty', 'output'],
    input: (operands, values) => ({
      reference: operandAt(operands, 0),
      ...descriptorAlone(values),
      ...platformOf(values, io),
    }),
    run: async (session, input, asked) => run(await openNamed(session, VERB, asked), input, undefined, io),
    async print({ output }, { values }) {
      const { descriptor } = describedIn(output);
      await printFetched(io, values, { descriptor, bytes: () => bytesIn(output, descriptor) });
    },
  });
}
