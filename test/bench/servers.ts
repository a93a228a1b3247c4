import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const DELAY_PROXY = join(import.meta.dirname, 'delay-proxy.child.ts');

export interface Certificate {
  certFile: string;
  keyFile: string;
  pem: string;
}

/** A certificate for localhost that is its own authority. */
export async function createCertificate(folder: string): Promise<Certificate> {
  const [certFile, keyFile] = [join(folder, 'server.crt'), join(folder, 'server.key')];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  await promisify(execFile)('openssl', ['req', '-x509', ...key, '-keyout', keyFile, '-out', certFile, ...names]);
  return { certFile, keyFile, pem: readFileSync(certFile, 'utf8') };
}

/** One request as the registry's log has it. */
export interface LoggedRequest {
  method: string;
  path: string;
  /** `HTTP/1.1` or `HTTP/2.0`, as it was agreed on by ALPN. */
  protocol: string;
  status: number;
}

export interface TlsRegistry {
  /** Straight to it: `localhost:12345`. */
  host: string;
  /** All requests since the last call. */
  takeRequests(): LoggedRequest[];
  /** A way to it that takes longer. */
  delayed(roundTripMs: number): Promise<string>;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function answers(url: string, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request(url, { ca, agent: false }, (response) => {
      response.resume().on('end', () => resolve(true));
    });
    asking.on('error', () => resolve(false));
    asking.end();
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const LINE = /"([A-Z]+) (\S+) (HTTP\/[\d.]+)" (\d{3}) /;

/** Debian's docker-registry over TLS (HTTP/2 and HTTP/1.1 by ALPN), with its content on disk and a log of all requests. */
export async function startTlsRegistry(
  program: string,
  folder: string,
  certificate: Certificate,
): Promise<TlsRegistry> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const { certFile, keyFile } = certificate;
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(folder, 'data'), maxthreads: 100 }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: 'benchmark', tls: { certificate: certFile, key: keyFile } },
  };
  // YAML reads JSON.
  await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'a');
  const server = spawn(program, ['serve', join(folder, 'config.yml')], { stdio: ['ignore', log, log] });
  const proxies: ChildProcess[] = [];
  for (let tries = 0; !(await answers(`https://localhost:${port}/v2/`, certificate.pem)); tries += 1) {
    if (tries > 100 || server.exitCode !== null) throw new Error(`no answer: ${readFileSync(logFile, 'utf8')}`);
    await sleep(50);
  }
  let read = 0;
  return {
    host: `localhost:${port}`,
    takeRequests: () => {
      const text = readFileSync(logFile, 'utf8');
      const lines = text.slice(read).split('\n');
      read = text.length;
      return lines.flatMap((line) => {
        const [, method, path, protocol, status] = LINE.exec(line) ?? [];
        if (method === undefined || path === undefined || protocol === undefined) return [];
        return [{ method, path, protocol, status: Number(status) }];
      });
    },
    delayed: async (roundTripMs) => {
      const args = ['--no-warnings', '--experimental-strip-types', DELAY_PROXY, String(port), String(roundTripMs)];
      const proxy = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      proxies.push(proxy);
      const [line] = (await once(createInterface({ input: proxy.stdout }), 'line')) as string[];
      return `localhost:${line}`;
    },
    stop: async () => {
      await Promise.all([server, ...proxies].map(end));
    },
  };
}
