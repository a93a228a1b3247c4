import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import { formatManifestJson } from '../../oras/index.js';
import { printFetched, readPrinting, type Printing } from './fetched.js';
import type { Io } from '../io.js';
import { layoutOptions } from '../connection/layout-options.js';
import { bytesIn, describedIn } from '../output/job-output.js';
import { collect, listOf } from '../repeated.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import { defineVerb, type Values, type VerbContext, type VerbDescription } from '../verb.js';

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

/** @throws InputError `OPTIONS_EXCLUSIVE` */
function checkOptions(values: Values): { printing: Printing; format: ResultFormat } {
  const printing = readPrinting(values);
  const format = resultFormat(values);
  if (values.format !== undefined && (printing.onlyDescriptor || printing.pretty)) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--format cannot be used together with --descriptor or --pretty');
  }
  if (printing.output === '-' && format.kind !== 'text') {
    throw new InputError('OPTIONS_EXCLUSIVE', '--output - cannot be used together with --format', {
      remedy: 'Both would be written to standard output: give a file.',
    });
  }
  return { printing, format };
}

/** @throws InputError `OPTIONS_EXCLUSIVE` */
function mediaTypesOf(values: Values): { mediaTypes?: readonly string[] } {
  if (values.mediaType === undefined) return {};
  if (layoutOptions(values).isLayout) {
    throw new InputError('OPTIONS_EXCLUSIVE', '`--media-type` cannot be used with `--oci-layout` at the same time');
  }
  return { mediaTypes: listOf(values.mediaType).flatMap((types) => types.split(',')) };
}

function print(
  io: Io,
  { printing, format }: ReturnType<typeof checkOptions>,
  { name, ...fetched }: { name: string; descriptor: Descriptor; fetch: () => Promise<Uint8Array> },
): Promise<void> {
  if (format.kind === 'text') return printFetched(io, printing, fetched);
  const { descriptor } = fetched;
  return printFetched(io, printing, fetched, (bytes) => {
    const shown = formatManifestJson(`${name}@${descriptor.digest}`, descriptor, bytes);
    return formatResult(format, JSON.parse(shown));
  });
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
        'ask a registry for these media types alone; by default for all of manifests and indexes',
        collect,
      );
    addFormatOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const options = checkOptions(values);
    const mediaTypes = mediaTypesOf(values);
    const resolved = await resolveTarget(session, VERB, { operands, values, io, ...mediaTypes });
    const { repository, root: descriptor } = resolved;
    const fetch = async (): Promise<Uint8Array> =>
      (await repository.fetchManifest(descriptor, { signal, ...mediaTypes })).bytes;
    await print(io, options, { name: repository.name, descriptor, fetch });
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['descriptor', 'pretty', 'output', 'format', 'template'],
    prepare(_operands, values) {
      const options = checkOptions(values);
      return async ({ output }) => {
        const { name, descriptor } = describedIn(output);
        await print(io, options, { name, descriptor, fetch: () => Promise.resolve(bytesIn(output, descriptor)) });
      };
    },
  });
}
