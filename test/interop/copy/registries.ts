import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll } from '@jest/globals';
import { createRegistries, type RegistryClient } from 'acr-promoter/oci';
import { startRegistry } from '../../../local/registry/server.js';
import { freePort } from '../../support/free-port.js';

/** A registry of the test's own that asks for no token. `localhost:…`, which the peers take for plain HTTP. */
export interface TestRegistry {
  name: string;
  close(): Promise<void>;
}

export async function startLocal(folder: string): Promise<TestRegistry> {
  const registry = await startRegistry({ dataDir: folder, anonymous: true, users: [] });
  return { name: `localhost:${registry.port}`, close: () => registry.close() };
}

async function isUp(name: string): Promise<boolean> {
  try {
    return (await fetch(`http://${name}/v2/`)).ok;
  } catch {
    return false;
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
}

/** Starts a registry program that listens on the port it is given. */
async function startProgram(program: string, argumentsFor: (port: number) => string[]): Promise<TestRegistry> {
  const port = await freePort();
  const child = spawn(program, argumentsFor(port), { stdio: 'ignore' });
  const name = `localhost:${port}`;
  for (const end = Date.now() + 60_000; !(await isUp(name));) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`${program} does not answer on ${name}`);
    await pause(50);
  }
  return {
    name,
    close: async () => {
      child.kill();
      await ended(child);
    },
  };
}

/** olareg, in memory: it has the referrers API, and loses entries under concurrent pushes. */
export function startOlareg(program: string): Promise<TestRegistry> {
  const flags = ['--store-type', 'mem', '--api-delete', '--api-blob-delete'];
  return startProgram(program, (port) => ['serve', '--addr', '127.0.0.1', '--port', `${port}`, ...flags]);
}

/** A folder and a client for all tests of a file; cleaned up after them. */
export function useWorkspace(): { folder: () => string; client: () => RegistryClient } {
  let folder = '';
  let client: RegistryClient | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'interop-copy-'));
    client = createRegistries({ credentials: { get: () => Promise.resolve({ kind: 'anonymous' }) } });
  });
  afterAll(async () => {
    await client?.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    folder: () => folder,
    client: () => {
      if (!client) throw new Error('before the first test');
      return client;
    },
  };
}
