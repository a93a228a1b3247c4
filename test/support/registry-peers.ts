import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.js';

/** A registry that runs in a process of its own (or in ours), on a loopback port. */
export interface RunningPeer {
  /** `localhost:12345` */
  host: string;
  stop(): Promise<void>;
}

async function untilAnswered(url: string, child: ChildProcess, output: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    if (child.exitCode !== null) break;
    try {
      await (await fetch(url)).arrayBuffer();
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`${url} does not answer: ${output()}`);
}

async function start(
  program: string,
  argumentsFor: (port: number, folder: string) => Promise<string[]> | string[],
  more: Promise<RunningPeer>[] = [],
): Promise<RunningPeer> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-peer-'));
  // Workers of nginx run as another user.
  await chmod(folder, 0o755);
  const port = await freePort();
  const child = spawn(program, await argumentsFor(port, folder), { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      output = (output + text.toString()).slice(-4000);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(3000, undefined, { ref: false }).then(() => child.kill('SIGKILL'))]);
    await rm(folder, { recursive: true, force: true });
    for (const other of more) await (await other).stop();
  };
  try {
    await untilAnswered(`http://127.0.0.1:${port}/v2/`, child, () => output);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: `localhost:${port}`, stop };
}

/** Debian's docker-registry, which can delete. */
export function startDockerRegistry(program: string): Promise<RunningPeer> {
  return start(program, async (port, folder) => {
    const config = join(folder, 'config.yml');
    const storage = `storage: { filesystem: { rootdirectory: ${join(folder, 'data')} }, delete: { enabled: true } }`;
    await writeFile(config, `version: 0.1\nlog: { level: error }\n${storage}\nhttp: { addr: '127.0.0.1:${port}' }\n`);
    return ['serve', config];
  });
}

/** nginx with Basic auth (`user`, `password`) before Debian's docker-registry. */
export async function startBehindNginx(nginx: string, dockerRegistry: string): Promise<RunningPeer> {
  const inner = await startDockerRegistry(dockerRegistry);
  return start(
    nginx,
    async (port, folder) => {
      await mkdir(join(folder, 'temporary'));
      await writeFile(join(folder, 'users'), 'user:{PLAIN}password\n');
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${join(folder, 'temporary', name)};`,
      );
      const config = `daemon off; pid ${folder}/pid; error_log stderr error; events {}
http { access_log off; ${temporary.join(' ')} client_max_body_size 0;
  server { listen 127.0.0.1:${port};
    location / { auth_basic "a registry, with a comma"; auth_basic_user_file ${folder}/users;
      proxy_pass http://${inner.host.replace('localhost', '127.0.0.1')}; proxy_set_header Host $http_host; proxy_request_buffering off; proxy_http_version 1.1; } } }
`;
      await writeFile(join(folder, 'nginx.conf'), config);
      return ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')];
    },
    [Promise.resolve(inner)],
  );
}

/** olareg in memory, with everything that can be switched on. */
export function startOlareg(program: string): Promise<RunningPeer> {
  return start(program, (port) => [
    'serve',
    '--addr=127.0.0.1',
    `--port=${port}`,
    '--store-type=mem',
    '--api-delete',
    '--api-blob-delete',
    '--gc-frequency=-1s',
  ]);
}

export function startCraneRegistry(program: string): Promise<RunningPeer> {
  return start(program, (port) => ['registry', 'serve', `--address=127.0.0.1:${port}`]);
}
