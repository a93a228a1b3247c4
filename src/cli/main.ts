import { text } from 'node:stream/consumers';
import { run } from './run.js';

// The composition root of the command line.

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Asked twice, it waits for nothing.
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}
// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await run(process.argv.slice(2), {
  out: (content) => void process.stdout.write(content),
  err: (line) => void process.stderr.write(line),
  readInput: () => text(process.stdin),
  env: process.env,
  architecture: process.arch,
  signal: stopping.signal,
});
