import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.js';

/** `npm start` as a child of a test: everything up, on ports of its own. */
export interface Everything {
  source: string;
  staging: string;
  hostUrl: string;
  dataDir: string;
  user: { name: string; password: string };
  certificate: string;
  /** What it has printed so far. */
  output(): string;
  processId(name: string): Promise<number>;
  promotion(repository: string, tag: string): Promise<Promotion | undefined>;
  /** Waits until a promotion has ended after `since`, and is closed. */
  ended(repository: string, tag: string, sinceMs: number): Promise<Promotion>;
  /** Waits until the schedule has scanned once more: it ticks once a minute. */
  nextScan(): Promise<void>;
  stop(): Promise<void>;
}

export interface Promotion {
  id: string;
  source: { registry: string; repository: string; tag: string };
  destination: string;
  state: string;
  runOpen: boolean;
  runId?: string;
  generation: number;
  observedGeneration: number;
  last?: { outcome: string; code?: string; reason?: string; digest?: string; finishedAt: string; runId: string };
}

/** How a promotion ended, to compare: where that is not as it should be, the outcome says why. */
export function ending<T extends { outcome: string; code?: string; reason?: string }>(
  last: T | undefined,
): T | undefined {
  if (last?.code === undefined) return last;
  return { ...last, outcome: `${last.outcome} ${last.code}: ${last.reason ?? ''}` };
}

/** The server closed an idle connection just when it was used again: nothing was asked yet. */
function isClosed(error: unknown): boolean {
  const cause = error instanceof TypeError ? (error.cause as { code?: unknown } | undefined) : undefined;
  return cause?.code === 'ECONNRESET' || cause?.code === 'UND_ERR_SOCKET';
}

/** @param what is waited for; a function is asked when that was in vain */
export async function until<T>(
  what: string | (() => string),
  look: () => Promise<T | undefined>,
  withinMs = 90_000,
): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    const seen = await look().catch((error: unknown) => {
      if (isClosed(error)) return undefined;
      throw error;
    });
    if (seen !== undefined) return seen;
    if (Date.now() > end)
      throw new Error(`waited ${withinMs} ms in vain for ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface Options {
  /** Makes the rules out of the two registries; the local rules by default. */
  rules?: (registries: { source: string; staging: string }) => unknown;
  anonymous?: boolean;
  schedule?: string;
  /** More settings of the app, of those that `npm start` passes on: JOB_OPERATIONS, JOB_SCOPES, COPY_PART_BYTES, SCAN_REQUESTS. */
  settings?: Record<string, string>;
  /** Go on in this folder. */
  dataDir?: string;
  ports?: { host: number; source: number; staging: number };
  /** More options of `npm start`. */
  args?: readonly string[];
  /** How long what a host had taken stays invisible after its end; by default 5 s, so that a test that ends hosts takes no minutes. */
  visibility?: 'as in host.json';
}

export async function startEverything(options: Options = {}): Promise<Everything> {
  const ports = options.ports ?? { host: await freePort(), source: await freePort(), staging: await freePort() };
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'acr-promoter-start-')));
  const source = `localhost:${ports.source}`;
  const staging = `localhost:${ports.staging}`;
  const hostUrl = `http://localhost:${ports.host}`;
  const args = [
    '--data-dir',
    dataDir,
    '--port',
    `${ports.host}`,
    '--source-port',
    `${ports.source}`,
    '--staging-port',
    `${ports.staging}`,
  ];
  if (options.visibility === undefined) args.push('--visibility-ms', '5000');
  if (options.anonymous === true) args.push('--anonymous');
  args.push(...(options.args ?? []));
  if (options.rules !== undefined) {
    const path = join(dataDir, 'rules.json');
    await writeFile(path, JSON.stringify(options.rules({ source, staging })));
    args.push('--rules', path);
  }
  const child = spawn(process.execPath, ['dist/local/start/main.js', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...options.settings,
      ...(options.schedule !== undefined && { PROMOTION_SCHEDULE: options.schedule }),
    },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const api = async (path: string): Promise<unknown> => {
    try {
      const response = await fetch(`${hostUrl}/api/${path}`);
      return response.ok ? await response.json() : undefined;
    } catch {
      return undefined;
    }
  };
  await until(
    () => `everything to be up\n${output}`,
    async () => {
      if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}:\n${output}`);
      return output.includes('\nProcesses ') ? true : undefined;
    },
  );
  const users = JSON.parse(await readFile(join(dataDir, 'users.json'), 'utf8')) as { name: string; password: string }[];
  const [user] = users;
  if (user === undefined) throw new Error('no user');
  const promotion = async (repository: string, tag: string): Promise<Promotion | undefined> => {
    const { promotions } = ((await api('promotions')) ?? { promotions: [] }) as { promotions: Promotion[] };
    return promotions.find((each) => each.source.repository === repository && each.source.tag === tag);
  };
  const scans = async (): Promise<number> => {
    const log = await readFile(join(dataDir, 'logs', 'host.log'), 'utf8');
    return log.match(/onScheduleMessage: scan: /g)?.length ?? 0;
  };
  return {
    source,
    staging,
    hostUrl,
    dataDir,
    user,
    certificate: join(dataDir, 'signing', 'certificate.pem'),
    output: () => output,
    processId: async (name) => {
      const ids = JSON.parse(await readFile(join(dataDir, 'processes.json'), 'utf8')) as Record<string, number>;
      const id = ids[name];
      // 0 would be our own process group.
      if (id === undefined) throw new Error(`${name} does not run`);
      return id;
    },
    promotion,
    nextScan: async () => {
      const before = await scans();
      await until('a scan of the schedule', async () => ((await scans()) > before ? true : undefined), 100_000);
    },
    ended: (repository, tag, sinceMs) => {
      let seen: unknown;
      return until(
        () => `the promotion of ${repository}:${tag}\n${JSON.stringify(seen, undefined, 1)}\n${output.slice(-3000)}`,
        async () => {
          const row = await promotion(repository, tag);
          seen = row === undefined ? row : await api(`promotions/${row.id}`);
          return row?.last !== undefined && !row.runOpen && Date.parse(row.last.finishedAt) >= sinceMs
            ? row
            : undefined;
        },
      );
    },
    stop: async () => {
      await endChild(child);
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
