import { fork, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { PromoterError } from '../../src/oci/index.js';

const CHILD = fileURLToPath(new URL('child.js', import.meta.url));
const STOP_MS = 10_000;
const READY_MS = 60_000;
/** A process that dies more often than this is not started again. */
const MOST_RESTARTS = 20;
const RESTART_PAUSE_MS = 500;

export interface ProcessSpec {
  name: string;
  script: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  /** Where its output is kept: `<logDir>/<name>.log`. */
  logDir: string;
  /** Told of each process id that it gets. */
  onStart(): void;
  /** Told when it has ended by itself and is started again, or is given up. */
  onEnd(text: string, givenUp: boolean): void;
}

/** One of the processes behind `npm start`: killed alone, it is started again, as a platform would. */
export class LocalProcess {
  readonly name: string;
  readonly #spec: ProcessSpec;
  #child: ChildProcess | undefined;
  #log: WriteStream | undefined;
  #stopping = false;
  #restarts = 0;

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.#spec = spec;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it. @returns the JSON object of its first line, which says that it is ready. */
  async start(): Promise<unknown> {
    const { logDir, name, script, args, env, cwd } = this.#spec;
    await mkdir(logDir, { recursive: true });
    const log = createWriteStream(join(logDir, `${name}.log`), { flags: 'a' });
    this.#log = log;
    const child = fork(CHILD, [script, ...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--no-warnings'],
    });
    this.#child = child;
    this.#spec.onStart();
    child.stderr?.pipe(log, { end: false });
    const ready = firstLine(child, name, join(logDir, `${name}.log`));
    child.stdout?.pipe(log, { end: false });
    child.once('exit', (code, signal) => void this.#ended(code, signal));
    return ready;
  }

  /** SIGTERM, and SIGKILL where that is not heard. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
    this.#log?.end();
  }

  async #ended(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    if (this.#stopping) return;
    const how = signal === null ? `ended with code ${code ?? '?'}` : `was ended by ${signal}`;
    this.#restarts += 1;
    if (this.#restarts > MOST_RESTARTS) {
      this.#spec.onEnd(`${this.name} ${how}, once too often`, true);
      return;
    }
    this.#spec.onEnd(`${this.name} ${how}; starting it again`, false);
    await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
    if (this.#stopping) return;
    try {
      await this.start();
    } catch (error) {
      // Its own end is heard as well, and tried again from there.
      this.#spec.onEnd(error instanceof Error ? error.message : String(error), false);
    }
  }
}

function firstLine(child: ChildProcess, name: string, logFile: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (text: string): void =>
      reject(new PromoterError('PROCESS_FAILED', `${name} ${text}`, { remedy: `Look into ${logFile}.` }));
    const timer = setTimeout(() => fail('did not get ready in time'), READY_MS);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      fail(`ended before it was ready (${signal ?? code ?? '?'})`);
    });
    if (child.stdout === null) return;
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      const parsed = parseReady(line);
      if (parsed === undefined) return;
      clearTimeout(timer);
      lines.removeAllListeners('line');
      if (parsed.ready) resolve(parsed.value);
      else fail(`could not start: ${parsed.text}`);
    });
  });
}

const readySchema = z.object({ ready: z.boolean(), code: z.string().default(''), message: z.string().default('') });

/** A line that says whether a process is ready; Azurite says it in words. */
function parseReady(line: string): { ready: boolean; value: unknown; text: string } | undefined {
  if (line.includes('Azurite Table service is successfully listening')) return { ready: true, value: {}, text: '' };
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    const parsed = readySchema.safeParse(value).data;
    return parsed && { ready: parsed.ready, value, text: `${parsed.code}: ${parsed.message}` };
  } catch {
    return undefined;
  }
}

/** The folder of the compiled program that `npm start` runs. */
export function compiledRoot(): string {
  return dirname(dirname(dirname(fileURLToPath(import.meta.url))));
}
