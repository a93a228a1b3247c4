import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { InputError } from '../../src/oci/index.js';

export interface StartOptions {
  once: boolean;
  json: boolean;
  anonymous: boolean;
  /** An OCI layout, with `:TAG` or `@DIGEST` to select one of several images; undefined: the sample image. */
  image: string | undefined;
  /** A rules file; undefined: the default rules. */
  rules: string | undefined;
  dataDir: string;
  /** The folder of the app that the host runs. */
  app: string;
  port: number;
  sourcePort: number;
  stagingPort: number;
  /** How long --once waits for the promotion to finish, in milliseconds. */
  timeoutMs: number;
  /** Seed of the host's faults; undefined: no faults. */
  chaos: number | undefined;
  /** The host's --lies; undefined: all. */
  lies: string | undefined;
  /** The host's --function-timeout-ms; undefined: from host.json. */
  functionTimeoutMs: number | undefined;
  /** The host's --visibility-ms; undefined: from host.json. */
  visibilityMs: number | undefined;
  /** The number of host processes on one store. The first has `port`, the others any free one. */
  hosts: number;
  /** Quirks of the source registry, `name` or `name=number`; see local/registry/quirks.ts. */
  sourceQuirks: readonly string[];
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least || number > most)
      throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`);
    return number;
  };
}

type Flags = 'once' | 'json' | 'anonymous';
type Values = Omit<StartOptions, 'timeoutMs' | Flags> & { timeout: number } & Partial<Record<Flags, boolean>>;

function command(): Command {
  const port = (flags: string, description: string, byDefault: number): Option =>
    new Option(flags, description).argParser(whole(1, 65_535)).default(byDefault);
  return new Command('npm start --')
    .description(
      'Starts two registries, a managed-identity endpoint, Azurite and the Functions host on this machine, pushes an image ' +
        'to the source registry, and shows its promotion to staging. Keeps running; push to the source registry with any client.',
    )
    .option('--once', 'exit after the first promotion: 0 if it succeeded, 1 if it failed')
    .option('--image <path>', 'push this OCI image layout (PATH, PATH:TAG or PATH@DIGEST) instead of the sample image')
    .option(
      '--json',
      'print one JSON object as the last line of standard output; everything else goes to standard error',
    )
    .option('--anonymous', 'registries require no token, for clients that cannot sign in')
    .option('--rules <path>', 'promote with these rules (JSON or YAML) instead of the default ones')
    .option('--data-dir <path>', 'folder for all data; a later start resumes', '.local')
    .option('--app <path>', 'folder of the app to run', '.')
    .addOption(port('--port <n>', 'port of the Functions host', 7071))
    .addOption(port('--source-port <n>', 'port of the source registry', 5100))
    .addOption(port('--staging-port <n>', 'port of the staging registry', 5101))
    .addOption(
      new Option('--timeout <seconds>', 'how long --once waits for the promotion to finish')
        .argParser(whole(1, 86_400))
        .default(600),
    )
    .addOption(new Option('--chaos <seed>').argParser(whole(0, 2 ** 31)).hideHelp())
    .addOption(new Option('--lies <names>').hideHelp())
    .addOption(new Option('--function-timeout-ms <n>').argParser(whole(100, 86_400_000)).hideHelp())
    .addOption(new Option('--visibility-ms <n>').argParser(whole(100, 3_600_000)).hideHelp())
    .addOption(new Option('--hosts <n>').argParser(whole(1, 4)).default(1).hideHelp())
    .addOption(new Option('--source-quirks <names...>').default([]).hideHelp())
    .addHelpText(
      'after',
      `
Examples:
  npm start -- --once
  npm start -- --image ./my-layout --json
  npm start -- --anonymous --rules rules.yaml

Exit code: 0 when the first promotion has completed, 1 when it has failed or something else has, 130 when it was stopped before.`,
    );
}

/** npm takes these options for itself if they stand before `--`. */
const NPM_TAKES = ['once', 'image', 'anonymous', 'rules', 'data_dir', 'source_port', 'staging_port'];

/** The command line as meant. */
export interface CommandLine {
  args: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  /** This package's folder. */
  root: string;
}

/** Parses the command line. @returns undefined after printing the help @throws InputError `BAD_OPTION` */
export function parseStartOptions({ args, environment, root }: CommandLine): StartOptions | undefined {
  const taken = NPM_TAKES.find((name) => environment[`npm_config_${name}`] !== undefined);
  if (taken !== undefined) {
    throw new InputError('BAD_OPTION', `npm took the option --${taken.replaceAll('_', '-')} for itself`, {
      remedy: 'Put options after two dashes: npm start -- --once.',
    });
  }
  const parser = command()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  try {
    parser.parse([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new InputError('BAD_OPTION', error.message.replace(/^error: /, ''), {
      remedy: 'Run npm start -- --help for all options.',
    });
  }
  const values = parser.opts<Values>();
  return {
    once: values.once ?? false,
    json: values.json ?? false,
    anonymous: values.anonymous ?? false,
    image: values.image === undefined ? undefined : resolve(values.image),
    rules: values.rules === undefined ? undefined : resolve(values.rules),
    dataDir: resolve(values.dataDir),
    app: values.app === '.' ? root : resolve(values.app),
    port: values.port,
    sourcePort: values.sourcePort,
    stagingPort: values.stagingPort,
    timeoutMs: values.timeout * 1000,
    chaos: values.chaos,
    lies: values.lies,
    functionTimeoutMs: values.functionTimeoutMs,
    visibilityMs: values.visibilityMs,
    hosts: values.hosts,
    sourceQuirks: values.sourceQuirks,
  };
}
