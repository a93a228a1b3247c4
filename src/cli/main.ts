import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { run } from './run.js';
import { LineReader } from './standard-input.js';

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

const lines = new LineReader(process.stdin, (end) => void process.stdout.write(end));

process.exitCode = await run(process.argv.slice(2), {
  out: (content) => void process.stdout.write(content),
  err: (line) => void process.stderr.write(line),
  outStream: (chunks) => pipeline(chunks, process.stdout, { end: false }),
  readInput: () => text(process.stdin),
  openInput: () => process.stdin,
  readLine: ({ hidden = false } = {}) => lines.read(hidden, () => process.kill(process.pid, 'SIGINT')),
  env: process.env,
  architecture: process.arch,
  signal: stopping.signal,
});
