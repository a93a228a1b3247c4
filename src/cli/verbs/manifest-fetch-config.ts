import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import { fetchConfig, formatDescriptor, indentJson, parsePlatform, resolveConfig } from '../../oras/index.js';
import { writeOutput } from '../files.js';
import type { Io } from '../io.js';
import { bytesIn, describedIn } from '../job-output.js';
import type { Session } from '../session.js';
import { addPlatformOption, addTargetOptions } from '../single-target.js';
import { openNamed } from '../named-target.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'manifest fetch-config',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the manifest config to fetch',
  count: 1,
  summary: 'Fetch the config of a manifest, byte for byte',
  aliases: ['get-config'],
  examples: [
    ['The config', 'acr-promoter manifest fetch-config localhost:5000/hello:v1'],
    ['That of one platform', 'acr-promoter manifest fetch-config --platform linux/arm64 localhost:5000/hello:v1'],
    ['Its descriptor', 'acr-promoter manifest fetch-config --descriptor localhost:5000/hello:v1'],
    ['Into a file', 'acr-promoter manifest fetch-config --output config.json localhost:5000/hello:v1'],
  ],
};

/** What is printed, or written to a file. */
interface Printing {
  output: string | undefined;
  onlyDescriptor: boolean;
  pretty: boolean;
}

/** @throws InputError `OPTIONS_EXCLUSIVE` */
function checkOptions(values: Values): Printing {
  const output = textOf(values, 'output');
  const onlyDescriptor = values.descriptor === true;
  if (output === '-' && onlyDescriptor) {
    throw new InputError('OPTIONS_EXCLUSIVE', '`--output -` cannot be used with `--descriptor` at the same time');
  }
  return { output, onlyDescriptor, pretty: values.pretty === true };
}

/** @param fetch the config itself, where the descriptor isn't all that is wanted */
async function print(
  io: Io,
  { output, onlyDescriptor, pretty }: Printing,
  config: Descriptor,
  fetch: () => Promise<Uint8Array>,
): Promise<void> {
  const json = (text: string): void => io.out(pretty ? `${indentJson(text)}\n` : text);
  const toFile = output !== undefined && output !== '-';
  const bytes = !onlyDescriptor || toFile ? await fetch() : undefined;
  if (bytes && toFile) await writeOutput(output, bytes);
  if (onlyDescriptor) json(formatDescriptor(config));
  else if (bytes && !toFile) {
    if (pretty) json(new TextDecoder().decode(bytes));
    else io.out(bytes);
  }
}

export function addManifestFetchConfig(parent: Command, context: VerbContext): void {
  const { io } = context;
  const { signal } = io;
  const addOptions = (command: Command): void => {
    command
      .option('--descriptor', 'print the descriptor of the config, as the manifest has it')
      .option('--pretty', 'lay the JSON out for reading')
      .option('-o, --output <path>', 'write the config to this file; - for standard output');
    addPlatformOption(command);
    addTargetOptions(command);
  };
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const printing = checkOptions(values);
    const asked = textOf(values, 'platform');
    const platform = asked === undefined ? undefined : parsePlatform(asked, io.architecture);
    const { repository, tagOrDigest } = await openNamed(session, VERB, operandAt(operands, 0), values);
    const config = await resolveConfig(repository, tagOrDigest, { signal, ...(platform && { platform }) });
    await print(io, printing, config, () => fetchConfig(repository, config, { signal }));
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['descriptor', 'pretty', 'output'],
    prepare(_operands, values) {
      const printing = checkOptions(values);
      return async ({ output }) => {
        const { descriptor } = describedIn(output);
        await print(io, printing, descriptor, () => Promise.resolve(bytesIn(output, descriptor)));
      };
    },
  });
}
