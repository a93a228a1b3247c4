import { fork, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { PromoterError } from '../../src/oci/index.js';

const CHILD = fileURLToPath(new URL('child.js', import.meta.url));
const STOP_MS = 8_000;
const READY_MS = 60_000;
/** A process that dies more often than this within the window is not started again. */
const MOST_DEATHS = 20;
const DEATHS_WINDOW_MS = 60_000;
const RESTART_PAUSE_MS = 500;
/** How many lines of output the error of a failed start shows. */
const LAST_LINES = 5;

export interface ProcessSpec {
  name: string;
  script: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  /** Its output goes to `<dataDir>/logs/<name>.log`. */
  dataDir: string;
  /** Called with each new process id. */
  onStart(): void;
  /** Called when the process ended by itself and is started again. */
  onEnd(text: string): void;
  /** Called when the process ended too often and is not started again. */
  onGivenUp(error: PromoterError): void;
}

/** One of the processes of `npm start`. If it is killed, it is started again, as a platform would do. */
export class LocalProcess {
  readonly name: string;
  readonly #spec: ProcessSpec;
  readonly #logFile: string;
  #log: WriteStream | undefined;
  #child: ChildProcess | undefined;
  #stopping = false;
  #deaths: number[] = [];

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.#spec = spec;
    this.#logFile = join(spec.dataDir, 'logs', `${spec.name}.log`);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Starts it; from then on it is started again whenever it ends.
   * @returns the JSON object of the line that says that it is ready
   * @throws PromoterError with the code that it gave, or `PROCESS_FAILED`
   */
  async start(): Promise<unknown> {
    const child = this.#spawn();
    const ready = await outcomeOf(child, this.name, this.#logFile, (line) => this.#log?.write(`${line}\n`));
    if (isOver(child)) void this.#ended(child);
    else child.once('exit', () => void this.#ended(child));
    return ready;
  }

  /** SIGTERM, and SIGKILL where that is not heard. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child !== undefined && !isOver(child)) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    }
    this.#log?.end();
  }

  #spawn(): ChildProcess {
    const { name, dataDir, script, args, env, cwd } = this.#spec;
    mkdirSync(dirname(this.#logFile), { recursive: true });
    this.#log ??= createWriteStream(this.#logFile, { flags: 'a', mode: 0o600 });
    const child = fork(CHILD, [name, dataDir, script, ...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--no-warnings'],
      // A group of its own: a terminal's Ctrl-C goes to us alone, and we stop one after the other.
      detached: process.platform !== 'win32',
    });
    this.#child = child;
    this.#spec.onStart();
    return child;
  }

  async #ended(child: ChildProcess): Promise<void> {
    if (this.#stopping) return;
    const { exitCode, signalCode } = child;
    const how = signalCode === null ? `ended with code ${exitCode ?? '?'}` : `was ended by ${signalCode}`;
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((at) => at > now - DEATHS_WINDOW_MS), now];
    if (this.#deaths.length > MOST_DEATHS) {
      const message = `${this.name} ${how}, ${this.#deaths.length} times within a minute`;
      this.#spec.onGivenUp(new PromoterError('PROCESS_FAILED', message, { remedy: `See ${this.#logFile}.` }));
      return;
    }
    this.#spec.onEnd(`${this.name} ${how}; starting it again`);
    await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS * Math.min(this.#deaths.length, 6)));
    if (this.#stopping) return;
    try {
      await this.start();
    } catch {
      // The start failed, and the log has the reason. Count it as another end of the process.
      void this.#ended(this.#child ?? child);
    }
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Logs all output and waits for the line that reports the start. Ends a process that is not ready in time. */
function outcomeOf(child: ChildProcess, name: string, logFile: string, log: (line: string) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const last: string[] = [];
    const fail = (code: string, text: string, remedy?: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new PromoterError(code, `${name}: ${text}`, { remedy: remedy ?? `See ${logFile}.` }));
    };
    const timer = setTimeout(() => fail('PROCESS_FAILED', `not ready within ${READY_MS / 1000} s`), READY_MS);
    // `close` and not `exit`, so that all output has been read.
    child.once('close', (code, signal) => {
      const said = last.length === 0 ? '' : `: ${last.join(' | ')}`;
      fail('PROCESS_FAILED', `ended before it was ready (${signal ?? code ?? '?'})${said}`);
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        const parsed = stream === child.stdout ? parseReady(line) : undefined;
        if (parsed?.ready === true) {
          // The line itself is not logged, because it may hold secrets (the identity's does).
          log(`${new Date().toISOString()} ${name} is ready, process id ${child.pid ?? '?'}`);
          clearTimeout(timer);
          resolve(parsed.value);
          return;
        }
        log(line);
        last.push(line.slice(0, 500));
        last.splice(0, last.length - LAST_LINES);
        if (parsed !== undefined) fail(parsed.code, parsed.message, parsed.remedy);
      });
    }
  });
}

const readySchema = z.object({
  ready: z.boolean(),
  code: z.string().default('PROCESS_FAILED'),
  message: z.string().default('could not start'),
  remedy: z.string().optional(),
});

/** Parses the line that says whether a process is ready. Azurite writes its own text. */
function parseReady(line: string): (z.infer<typeof readySchema> & { value: unknown }) | undefined {
  if (line.includes('Azurite Table service is successfully listening')) {
    return { ready: true, code: '', message: '', value: {} };
  }
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    const parsed = readySchema.safeParse(value).data;
    return parsed && { ...parsed, value };
  } catch {
    return undefined;
  }
}

/** The folder of the compiled program that `npm start` runs. */
export function compiledRoot(): string {
  return dirname(dirname(dirname(fileURLToPath(import.meta.url))));
}
