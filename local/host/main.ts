import { Console } from 'node:console';
import { crashSomeTime } from './chaos.js';
import { startHost } from './host.js';
import { describe, log } from './log.js';
import { parseOptions, readSettings } from './options.js';

/** The app's output goes to the log. Standard output has only the line that says that the host is ready. */
globalThis.console = new Console(process.stderr, process.stderr);

function fail(error: unknown): void {
  log('critical', 'host', describe(error));
  // The app may have its own copy of our error classes, so check the fields and not the class.
  const { code, remedy } = (error instanceof Error ? error : {}) as { code?: unknown; remedy?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  const line = { ready: false, code: typeof code === 'string' ? code : 'INTERNAL', message, remedy };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  process.exitCode = 1;
}

try {
  const options = parseOptions(process.argv.slice(2));
  for (const [name, value] of Object.entries(options.settings === undefined ? {} : readSettings(options.settings))) {
    process.env[name] ??= value;
  }
  process.env['AZURE_FUNCTIONS_ENVIRONMENT'] ??= 'Development';
  const host = await startHost(options, process.env);
  process.on('unhandledRejection', (error) => log('error', 'host', `unhandled rejection: ${describe(error)}`));
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
  if (options.chaos !== undefined && options.lies.some(({ name }) => name === 'kill')) crashSomeTime();
  const { port, functions } = host;
  process.stdout.write(
    `${JSON.stringify({ ready: true, port, functions, ...(options.keys && { keys: `${options.dataDir}/keys.json` }) })}\n`,
  );
} catch (error) {
  fail(error);
  process.exit();
}
