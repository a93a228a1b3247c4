import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, PromoterError } from '../../src/oci/index.js';
import { demonstrate, requireRules } from './demonstrate.js';
import { localRules } from './local-rules.js';
import { parseStartOptions, type StartOptions } from './options.js';
import { compiledRoot } from './process.js';
import { openImages } from './push.js';
import { startStack, type Stack } from './stack.js';
import { printable, Terminal } from './terminal.js';

// `npm start`: starts everything, pushes an image and shows its promotion to staging.

const INTERRUPTED = 130;
const args = process.argv.slice(2);
/** Read before the options are parsed, so that wrong options are reported in JSON too. */
const isJson = args.includes('--json');
const stopping = new AbortController();
// The reader of our output has gone, so end as a program does then; what already ends may finish.
const onGone = (): void => {
  if (!args.includes('--once')) stopping.abort();
};
const terminal = new Terminal(isJson ? process.stderr : process.stdout, process.env, onGone);
if (isJson) process.stdout.on('error', onGone);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The children end by themselves after this process.
    if (stopping.signal.aborted) process.exit(INTERRUPTED);
    stopping.abort();
  });
}

function tell(value: unknown): void {
  if (isJson) process.stdout.write(`${JSON.stringify(value)}\n`);
}

function fail(error: unknown): void {
  const { code, message, remedy } = describeError(error);
  terminal.status('');
  process.stderr.write(`Error: ${code}: ${printable(message)}\n${remedy === undefined ? '' : `${remedy}\n`}`);
  tell({ error: { code, message, ...(remedy !== undefined && { remedy }) } });
}

function help(stack: Stack, options: StartOptions): void {
  const { name, password } = stack.user;
  terminal.say(`
Source registry   ${stack.source}
Staging registry  ${stack.staging}
Sign in           ${options.anonymous ? 'not needed (--anonymous)' : `user ${name}, password ${password}`}
Functions host    ${stack.hostUrl}/api/health, ${stack.hostUrl}/api/promotions
Logs              ${join(options.dataDir, 'logs')}
Storage           connection string in ${join(options.dataDir, 'storage-connection-string.txt')} (queues registry-events, jobs; their messages are JSON, in base64 or not)
Certificate       ${stack.signing.certificate}
Processes         ${stack.processes.map((each) => `${each.name} ${each.pid ?? '?'}`).join(', ')}
`);
}

async function run(options: StartOptions): Promise<number> {
  // Check the given options and files before anything is started.
  const images = options.image === undefined ? undefined : await openImages(options.image);
  const [source, staging] = [`localhost:${options.sourcePort}`, `localhost:${options.stagingPort}`];
  const rules = await localRules(options.rules, source, staging);
  if (options.once) requireRules(rules, source, images);
  terminal.say('starting Azurite, identity, registries and the Functions host …');
  const { signal } = stopping;
  const stack = await startStack({
    options,
    environment: process.env,
    rules: rules.setting,
    say: (text) => terminal.say(text),
    signal,
    onGivenUp: (error) => stopping.abort(error),
  });
  // The command line finds the app by it (src/cli/app/find-local-app.ts).
  const appFile = join(options.dataDir, 'app.json');
  writeFileSync(appFile, JSON.stringify({ url: stack.hostUrl, pid: process.pid }));
  try {
    help(stack, options);
    let code = INTERRUPTED;
    await demonstrate({
      options,
      terminal,
      rules,
      images,
      stack,
      signal,
      onSummary: (summary) => {
        tell(summary);
        code = summary.error === undefined ? 0 : 1;
      },
    });
    return code;
  } finally {
    terminal.say('stopping everything …');
    rmSync(appFile, { force: true });
    await stack.stop();
  }
}

async function main(): Promise<number> {
  try {
    const options = parseStartOptions({ args, environment: process.env, root: join(compiledRoot(), '..') });
    if (options === undefined) return 0;
    const code = await run(options);
    if (stopping.signal.reason instanceof PromoterError) throw stopping.signal.reason;
    return code;
  } catch (error) {
    const { aborted, reason } = stopping.signal;
    // Errors caused by the stop are not reported.
    if (aborted && !(reason instanceof PromoterError)) return INTERRUPTED;
    fail(aborted ? reason : error);
    return 1;
  }
}

process.exit(await main());
