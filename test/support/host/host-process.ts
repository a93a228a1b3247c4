import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export interface InstanceStatus {
  name: string;
  instanceId: string;
  runtimeStatus: string;
  input: unknown;
  output: unknown;
  customStatus: unknown;
}

interface Ready {
  ready: boolean;
  port: number;
  functions: string[];
  keys?: string;
}

/** A folder for one host's data, and the file where the fixtures record what they did. */
export function newHostFolder(): { dataDir: string; effectsPath: string } {
  const folder = mkdtempSync(join(tmpdir(), 'local-host-'));
  return { dataDir: join(folder, 'data'), effectsPath: join(folder, 'effects') };
}

/** What the fixtures did so far, one line each. */
export function readEffects(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
}

/** Repeats until the result is not undefined. @throws after `timeoutMs` */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 30_000,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) {
      return answer;
    }
    if (Date.now() > until) {
      throw new Error(`${what}: not within ${timeoutMs} ms`);
    }
    await sleep(25);
  }
}

/** The host as a separate process, run from its sources. */
export class HostProcess {
  readonly port: number;
  readonly functions: string[];
  /** The path of the keys, with --keys. */
  readonly keysPath: string | undefined;
  readonly #child: ReturnType<typeof spawn>;
  readonly #errors: string[];

  private constructor(child: ReturnType<typeof spawn>, ready: Ready, errors: string[]) {
    this.#child = child;
    this.port = ready.port;
    this.functions = ready.functions;
    this.keysPath = ready.keys;
    this.#errors = errors;
  }

  /** @param fixture a folder of ./fixtures @throws Error with the host's last line if it does not start */
  static async start(
    fixture: string,
    { dataDir, effectsPath }: { dataDir: string; effectsPath: string },
    options: { args?: string[]; env?: Record<string, string> } = {},
  ): Promise<HostProcess> {
    const child = spawn(
      process.execPath,
      [
        '--no-warnings',
        '--import',
        new URL('../typescript-loader.mjs', import.meta.url).href,
        here('../../../local/host/main.ts'),
        '--app',
        here(`fixtures/${fixture}`),
        '--port',
        '0',
        '--data-dir',
        dataDir,
        ...(options.args ?? []),
      ],
      { env: { ...process.env, EFFECTS: effectsPath, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const errors: string[] = [];
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    while (!out.includes('\n')) {
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      if (child.exitCode !== null && !out.includes('\n')) {
        throw new Error(errors.join(''));
      }
    }
    const ready = JSON.parse(out) as Ready;
    if (!ready.ready) {
      throw new Error(out);
    }
    return new HostProcess(child, ready, errors);
  }

  get log(): string {
    return this.#errors.join('');
  }

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`http://127.0.0.1:${this.port}${path}`, init);
  }

  /** Calls a durable endpoint. @returns the answer's status */
  async post(path: string, body?: unknown): Promise<number> {
    const init = { method: 'POST', ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await this.request(`/durabletask/${path}`, init);
    await response.arrayBuffer();
    return response.status;
  }

  async begin(orchestration: string, id: string, input?: unknown): Promise<number> {
    return await this.post(`orchestrators/${orchestration}/${id}`, input);
  }

  async status(id: string): Promise<InstanceStatus | undefined> {
    const response = await this.request(`/durabletask/instances/${id}`);
    const body = (await response.json()) as InstanceStatus;
    return response.status === 404 ? undefined : body;
  }

  /** Waits for the instance to end. */
  async ended(id: string, timeoutMs?: number): Promise<InstanceStatus> {
    const ask = async () => {
      const status = await this.status(id);
      return ['Completed', 'Failed', 'Terminated'].includes(status?.runtimeStatus ?? '') ? status : undefined;
    };
    return await eventually(`${id} ends`, ask, timeoutMs);
  }

  /** @returns the exit code, null if the signal ended it */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill(signal);
      await ended;
    }
    return this.#child.exitCode;
  }
}
