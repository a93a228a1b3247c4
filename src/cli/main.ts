import { addAbortSignal } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { run } from './run.js';
import { LineReader } from './standard-input.js';

// The composition root of the command line.

// Node calls SQLite, whose file locks are used, experimental. Users cannot do anything about that.
const printWarnings = process.listeners('warning');
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') for (const print of printWarnings) print(warning);
});

// For the threads of layers: the place for young objects does not grow for what streams leave behind, and functions are
// not made of so many others that the compiler takes longer than the image.
if (process.argv[2] === 'sbom') {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=300');
}

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second signal ends the process at once.
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}
// A reader that closes early (`| head`) is not a failure.
process.stdout.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
  if (code !== 'EPIPE') process.stderr.write(`Error: standard output cannot be written (${code}) (FILE_UNWRITABLE)\n`);
  process.exit(code === 'EPIPE' ? 0 : 1);
});

let stdin: typeof process.stdin | undefined;
/** Opens standard input at its first use. An interruption ends a read that waits. */
function openStdin(): typeof process.stdin {
  if (stdin === undefined) {
    stdin = process.stdin;
    // A reader gets the error too. Without a reader, it does not matter.
    stdin.on('error', () => undefined);
    addAbortSignal(stopping.signal, stdin);
  }
  return stdin;
}

let lines: LineReader | undefined;
function openLines(): LineReader {
  lines ??= new LineReader(
    openStdin(),
    (end) => void process.stdout.write(end),
    () => stopping.abort(),
  );
  return lines;
}

const { stderr } = process;
/** A terminal that does not know its size reports 0. */
const sizeOr = (size: number | undefined, usual: number): number => (size === undefined || size < 1 ? usual : size);
const terminal = {
  write: (text: string) => void stderr.write(text),
  columns: () => sizeOr(stderr.columns, 80),
  rows: () => sizeOr(stderr.rows, 24),
};

const isTerminal = (stream: { isTTY?: boolean }): boolean => stream.isTTY === true && process.env.TERM !== 'dumb';

process.exitCode = await run(process.argv.slice(2), {
  out: (content) => void process.stdout.write(content),
  err: (line) => void process.stderr.write(line),
  outStream: (chunks) => pipeline(chunks, process.stdout, { end: false }),
  readInput: () => text(openStdin()),
  openInput: () => openStdin(),
  readLine: ({ hidden = false } = {}) => openLines().read(hidden),
  ...(isTerminal(stderr) && { terminal }),
  ...(isTerminal(process.stdout) && { outColumns: sizeOr(process.stdout.columns, 100) }),
  env: process.env,
  folder: process.cwd(),
  architecture: process.arch,
  signal: stopping.signal,
});
// A pipe that its writer keeps open would keep this process from ending.
stdin?.destroy();
