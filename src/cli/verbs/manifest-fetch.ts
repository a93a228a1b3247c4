import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { run } from '../../operations/manifest-fetch.js';
import { formatManifestJson } from '../../oras/index.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { platformOf } from '../option-values.js';
import { bytesIn, describedIn } from '../output/read-job-output.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import { collect, listOf } from '../repeated.js';
import { operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { descriptorAlone, printFetched } from './print-fetched.js';
import { refuseTogether } from '../errors.js';

const VERB: VerbDescription = {
  path: 'manifest fetch',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the manifest to fetch',
  count: 1,
  summary: 'Fetch a manifest, byte for byte',
  aliases: ['get', 'show'],
  examples: [
    ['The stored manifest', 'acr-promoter manifest fetch localhost:5000/hello:v1'],
    ['Its descriptor', 'acr-promoter manifest fetch --descriptor localhost:5000/hello:v1'],
    [
      'The manifest of one platform, indented',
      'acr-promoter manifest fetch --pretty --platform linux/arm64 localhost:5000/hello:v1',
    ],
  ],
};

/** @throws InputError `OPTIONS_EXCLUSIVE` */
function formatOf(values: Values): ResultFormat {
  const format = resultFormat(values);
  refuseTogether(values, 'format', 'descriptor', 'pretty');
  if (values.output === '-' && format.kind !== 'text') {
    throw new InputError('OPTIONS_EXCLUSIVE', '--output - cannot be used together with --format', {
      remedy: 'Both would be written to standard output: name a file.',
    });
  }
  return format;
}

/** @throws InputError `OPTIONS_EXCLUSIVE` */
function mediaTypesOf(values: Values): { mediaTypes?: string[] } {
  if (values.mediaType === undefined) return {};
  refuseTogether(values, 'mediaType', 'ociLayout', 'ociLayoutPath');
  return { mediaTypes: listOf(values.mediaType).flatMap((types) => types.split(',')) };
}

export function addManifestFetch(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--descriptor', 'print the descriptor: media type, digest, size')
      .option('--pretty', 'indent the JSON')
      .option('-o, --output <path>', 'write the manifest to this file; - for standard output')
      .option(
        '--media-type <type[,type]>',
        'accept only these media types (default all manifests and indexes)',
        collect,
      );
    addFormatOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'manifest.fetch',
    takes: ['platform', 'mediaType', 'descriptor'],
    shows: ['descriptor', 'pretty', 'output', 'format', 'template'],
    resultFormat: formatOf,
    input: (operands, values) => ({
      reference: operandAt(operands, 0),
      ...descriptorAlone(values),
      ...mediaTypesOf(values),
      ...platformOf(values, io),
    }),
    run: async (session, input, asked) => run(await openNamed(session, VERB, asked), input, undefined, io),
    async print({ output }, { values, format }) {
      const { name, descriptor } = describedIn(output);
      const fetched = { descriptor, bytes: () => bytesIn(output, descriptor) };
      if (format.kind === 'text') return printFetched(io, values, fetched);
      return printFetched(io, values, fetched, (bytes) => {
        const shown = formatManifestJson(`${name}@${descriptor.digest}`, descriptor, bytes);
        return formatResult(format, JSON.parse(shown));
      });
    },
  });
}
