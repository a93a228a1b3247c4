import { Console } from 'node:console';
import { describeError } from '../../src/oci/index.js';
import { startHost } from './host.js';
import { describe, log } from './log.js';
import { parseOptions, readSettings } from './options.js';

/** What the app prints goes where the log goes: standard output holds one line, the one that says that the host is ready. */
globalThis.console = new Console(process.stderr, process.stderr);

function fail(error: unknown): void {
  const { code, message, remedy } = describeError(error);
  log('critical', 'host', describe(error));
  process.stdout.write(`${JSON.stringify({ ready: false, code, message, remedy })}\n`);
  process.exitCode = 1;
}

try {
  const options = parseOptions(process.argv.slice(2));
  for (const [name, value] of Object.entries(options.settings === undefined ? {} : readSettings(options.settings))) {
    process.env[name] ??= value;
  }
  process.env['AZURE_FUNCTIONS_ENVIRONMENT'] ??= 'Development';
  const host = await startHost(options, process.env);
  process.on('unhandledRejection', (error) =>
    log('error', 'host', `a rejection that nobody handled: ${describe(error)}`),
  );
  let isStopping = false;
  const stop = () => {
    if (isStopping) {
      return;
    }
    isStopping = true;
    host
      .stop()
      .catch((error: unknown) => log('error', 'host', describe(error)))
      .finally(() => process.exit());
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const { port, functions } = host;
  process.stdout.write(
    `${JSON.stringify({ ready: true, port, functions, ...(options.keys && { keys: `${options.dataDir}/keys.json` }) })}\n`,
  );
} catch (error) {
  fail(error);
  process.exit();
}
