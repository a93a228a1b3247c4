import type { Command } from 'commander';
import { fetchConfig, parsePlatform, resolveConfig } from '../../oras/index.js';
import { printFetched, readPrinting } from './fetched.js';
import { bytesIn, describedIn } from '../output/job-output.js';
import type { Session } from '../connection/session.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { openNamed } from '../connection/named-target.js';
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
    const printing = readPrinting(values);
    const asked = textOf(values, 'platform');
    const platform = asked === undefined ? undefined : parsePlatform(asked, io.architecture);
    const { repository, tagOrDigest } = await openNamed(session, VERB, operandAt(operands, 0), values);
    const descriptor = await resolveConfig(repository, tagOrDigest, { signal, ...(platform && { platform }) });
    const fetch = (): Promise<Uint8Array> => fetchConfig(repository, descriptor, { signal });
    await printFetched(io, printing, { descriptor, fetch });
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['descriptor', 'pretty', 'output'],
    prepare(_operands, values) {
      const printing = readPrinting(values);
      return async ({ output }) => {
        const { descriptor } = describedIn(output);
        await printFetched(io, printing, { descriptor, fetch: () => Promise.resolve(bytesIn(output, descriptor)) });
      };
    },
  });
}
