import { execFile } from 'node:child_process';
import { run } from '../../../src/cli/run.js';
import { createMemoryIo } from '../../support/memory-io.js';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface RunOptions {
  input?: string;
  cwd?: string;
  env?: Record<string, string | undefined>;
}

/** Runs a real program. It is given an end of input where there is none. */
export function runProgram(program: string, argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...argv],
      { cwd: options.cwd, env: { ...process.env, ...options.env }, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
      (error, out, err) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
      },
    );
    child.stdin?.on('error', () => undefined).end(options.input ?? '');
  });
}

/** Runs our command line in this process. */
export async function runOurs(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { io, out, err } = createMemoryIo({
    architecture: process.arch,
    ...(options.input !== undefined && { input: options.input }),
    env: { PATH: process.env['PATH'], ...options.env },
  });
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

/** Words of a line; quotes hold together what has spaces, or is empty. */
export function splitLine(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

/** The words of the command that a help is of, aliases as alternatives; undefined where it is none. */
export function helpedCommand(text: string): string[][] | undefined {
  const usage = /^Usage:(?: acr-promoter|\n {2}oras)((?: [a-z][a-z|-]*)*)/m.exec(text)?.[1];
  return usage === undefined ? undefined : splitLine(usage).map((word) => word.split('|'));
}

/** oras tags at the same time, so that the order of its lines is chance. */
export function sortTagged(text: string): string {
  const lines = text.split('\n');
  const tagged = lines.filter((line) => line.startsWith('Tagged ')).sort();
  return lines.map((line) => (line.startsWith('Tagged ') ? (tagged.shift() ?? '') : line)).join('\n');
}
