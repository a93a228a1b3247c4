import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { until } from '../../support/stack/everything.js';

/** `npm start` as its users have it: by its options, its output, its exit code and signals. */
export interface Started {
  pid: number;
  stdout(): string;
  stderr(): string;
  /** The exit code, or the signal's name. */
  ended: Promise<number | string>;
  /** Waits until it has printed this, to either side. */
  printed(text: string): Promise<void>;
  /** The last line of standard output. */
  lastLine(): unknown;
}

interface Options {
  /** Through npm, in a process group of its own, as a shell has it; otherwise the program alone. */
  npm?: boolean;
  env?: Record<string, string>;
}

export function start(args: readonly string[], { npm = false, env = {} }: Options = {}): Started {
  const [program, before] = npm
    ? ['npm', ['start', '--']]
    : [process.execPath, ['--no-warnings', 'dist/local/start/main.js']];
  const child = spawn(program, [...before, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: npm,
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let over = false;
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => {
      over = true;
      resolve(code ?? signal ?? '?');
    });
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    printed: async (text) => {
      await until(
        () => `npm start to print ${JSON.stringify(text)}\n${stdout}\n${stderr}`,
        async () => {
          if ((stdout + stderr).includes(text)) return true;
          if (over) throw new Error(`npm start ended before it printed ${JSON.stringify(text)}:\n${stdout}\n${stderr}`);
          return undefined;
        },
      );
    },
    lastLine: () => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as unknown,
  };
}

export interface Ports {
  host: number;
  source: number;
  staging: number;
}

export async function freePorts(): Promise<Ports> {
  return { host: await freePort(), source: await freePort(), staging: await freePort() };
}

/** With a short visibility of what a host had taken: going on after it was ended takes no minute. */
export function portOptions({ host, source, staging }: Ports): string[] {
  const ports = ['--port', `${host}`, '--source-port', `${source}`, '--staging-port', `${staging}`];
  return [...ports, '--visibility-ms', '5000'];
}

/** Process ids by name, as noted in the data folder. */
export async function processIds(dataDir: string): Promise<Record<string, number>> {
  return JSON.parse(await readFile(join(dataDir, 'processes.json'), 'utf8')) as Record<string, number>;
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until none of them is left. */
export async function allGone(pids: readonly number[], withinMs: number): Promise<void> {
  await until(`processes ${pids.join(', ')} to end`, async () => (pids.some(isRunning) ? undefined : true), withinMs);
}
