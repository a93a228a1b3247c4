import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';

export interface StartOptions {
  once: boolean;
  json: boolean;
  anonymous: boolean;
  /** An OCI layout folder; undefined: the sample image. */
  image: string | undefined;
  /** A rules file; undefined: the local rules. */
  rules: string | undefined;
  dataDir: string;
  /** Folder of the app that the host runs. */
  app: string;
  port: number;
  sourcePort: number;
  stagingPort: number;
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('a port is a number from 1 to 65535');
  return port;
}

/** Reads the command line; prints help or what is wrong, and exits, where there is nothing to start. */
export function parseStartOptions(args: readonly string[], root: string): StartOptions {
  const port = (flags: string, description: string, byDefault: number): Option =>
    new Option(flags, description).argParser(portNumber).default(byDefault);
  const command = new Command('npm start --')
    .description(
      'Brings up two registries, a managed-identity endpoint, Azurite and the Functions host on this machine, pushes an image to\n' +
        'the source registry, and shows how it is promoted to staging. Stays up: push to the source registry with any client.',
    )
    .option('--once', 'exit when the first promotion has ended: 0 when it has completed, 1 when it has failed', false)
    .option('--image <path>', 'push this OCI layout folder instead of the sample image')
    .option(
      '--json',
      'the last line of standard output is one JSON object; everything else goes to standard error',
      false,
    )
    .option('--anonymous', 'registries that ask for no token, for clients that cannot sign in', false)
    .option('--rules <path>', 'promote by these rules (JSON or YAML) instead of the local ones')
    .option('--data-dir <path>', 'where everything is kept; starting again resumes', '.local')
    .option('--app <path>', 'folder of the app that the host runs', '.')
    .addOption(port('--port <n>', 'port of the Functions host', 7071))
    .addOption(port('--source-port <n>', 'port of the source registry', 5100))
    .addOption(port('--staging-port <n>', 'port of the staging registry', 5101))
    .addHelpText(
      'after',
      '\nExamples:\n  npm start -- --once\n  npm start -- --image ./my-layout --json\n  npm start -- --anonymous --rules rules.yaml\n',
    );
  command.parse([...args], { from: 'user' });
  const values = command.opts<{
    once: boolean;
    json: boolean;
    anonymous: boolean;
    image?: string;
    rules?: string;
    dataDir: string;
    app: string;
    port: number;
    sourcePort: number;
    stagingPort: number;
  }>();
  return {
    once: values.once,
    json: values.json,
    anonymous: values.anonymous,
    image: values.image === undefined ? undefined : resolve(values.image),
    rules: values.rules === undefined ? undefined : resolve(values.rules),
    dataDir: resolve(values.dataDir),
    app: values.app === '.' ? root : resolve(values.app),
    port: values.port,
    sourcePort: values.sourcePort,
    stagingPort: values.stagingPort,
  };
}
