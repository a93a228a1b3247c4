import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import {
  fetchConfig,
  formatGoJson,
  indentJson,
  parsePlatform,
  resolveConfig,
  toGoDescriptor,
} from '../../oras/index.js';
import { writeOutput } from '../files.js';
import { addPlatformOption, addTargetOptions } from '../single-target.js';
import { openNamed } from '../named-target.js';
import { defineVerb, operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';

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
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const output = textOf(values, 'output');
    const onlyDescriptor = values.descriptor === true;
    if (output === '-' && onlyDescriptor) {
      throw new InputError('OPTIONS_EXCLUSIVE', '`--output -` cannot be used with `--descriptor` at the same time');
    }
    const asked = textOf(values, 'platform');
    const platform = asked === undefined ? undefined : parsePlatform(asked, io.architecture);
    const { repository, tagOrDigest } = await openNamed(session, VERB, operandAt(operands, 0), values);
    const config = await resolveConfig(repository, tagOrDigest, { signal, ...(platform && { platform }) });
    const toFile = output !== undefined && output !== '-';
    const bytes = !onlyDescriptor || toFile ? await fetchConfig(repository, config, { signal }) : undefined;
    if (bytes && toFile) await writeOutput(output, bytes);
    const print = (json: string): void => io.out(values.pretty === true ? `${indentJson(json)}\n` : json);
    if (onlyDescriptor) print(formatGoJson(toGoDescriptor(config)));
    else if (bytes && !toFile) {
      if (values.pretty === true) print(new TextDecoder().decode(bytes));
      else io.out(bytes);
    }
  });
}
