import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { formatDescriptor, formatManifestJson, indentJson } from '../../oras/index.js';
import { collect, listOf } from '../repeated.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../result.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../single-target.js';
import { defineVerb, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'manifest fetch',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the manifest to fetch',
  count: 1,
  summary: 'Fetch a manifest, byte for byte',
  aliases: ['get', 'show'],
  examples: [
    ['The manifest as it is stored', 'acr-promoter manifest fetch localhost:5000/hello:v1'],
    ['Its descriptor', 'acr-promoter manifest fetch --descriptor localhost:5000/hello:v1'],
    [
      'That of one platform, laid out for reading',
      'acr-promoter manifest fetch --pretty --platform linux/arm64 localhost:5000/hello:v1',
    ],
  ],
};

function checkOptions(values: Values): {
  format: ResultFormat;
  output: string | undefined;
  onlyDescriptor: boolean;
} {
  const output = textOf(values, 'output');
  const onlyDescriptor = values.descriptor === true;
  const format = resultFormat(values);
  if (format.kind !== 'text' && (onlyDescriptor || values.pretty === true)) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--format cannot be used together with --descriptor or --pretty');
  }
  if (output === '-' && (onlyDescriptor || format.kind !== 'text')) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--output - cannot be used together with --descriptor or --format', {
      remedy: 'Both would be written to standard output: give a file.',
    });
  }
  return { format, output, onlyDescriptor };
}

/** @throws InputError `OPTIONS_EXCLUSIVE` */
function mediaTypesOf(values: Values): { mediaTypes?: readonly string[] } {
  if (values.mediaType === undefined) return {};
  if (values.ociLayout === true || values.ociLayoutPath !== undefined) {
    throw new InputError('OPTIONS_EXCLUSIVE', '`--media-type` cannot be used with `--oci-layout` at the same time');
  }
  return { mediaTypes: listOf(values.mediaType).flatMap((types) => types.split(',')) };
}

export function addManifestFetch(parent: Command, context: VerbContext): void {
  const { io } = context;
  const { signal } = io;
  const addOptions = (command: Command): void => {
    command
      .option('--descriptor', 'print the descriptor: media type, digest, size')
      .option('--pretty', 'lay the JSON out for reading')
      .option('-o, --output <path>', 'write the manifest to this file; - for standard output')
      .option(
        '--media-type <type[,type]>',
        'ask a registry for these media types alone; as it comes for all of manifests and indexes',
        collect,
      );
    addFormatOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const { format, output, onlyDescriptor } = checkOptions(values);
    const mediaTypes = mediaTypesOf(values);
    const { repository, root: descriptor } = await resolveTarget(session, VERB, {
      operands,
      values,
      io,
      ...mediaTypes,
    });
    const print = (json: string): void => io.out(values.pretty === true ? `${indentJson(json)}\n` : json);
    if (onlyDescriptor && output === undefined) {
      print(formatDescriptor(descriptor));
      return;
    }
    const { bytes } = await repository.fetchManifest(descriptor, { signal, ...mediaTypes });
    if (output !== undefined && output !== '-') await writeFile(output, bytes);
    if (onlyDescriptor) print(formatDescriptor(descriptor));
    else if (format.kind !== 'text') {
      const json = formatManifestJson(`${repository.name}@${descriptor.digest}`, descriptor, bytes);
      io.out(formatResult(format, JSON.parse(json)));
    } else if (output === undefined || output === '-') {
      if (values.pretty === true) print(new TextDecoder().decode(bytes));
      else io.out(bytes);
    }
  });
}
