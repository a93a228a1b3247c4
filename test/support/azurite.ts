import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

export interface Azurite {
  /** The connection string of an account that is not used yet; there are sixteen. */
  newAccount(): string;
  stop(): Promise<void>;
}

/** Microsoft's storage emulator as a child process: in memory, on free ports, with its own key. */
export async function startAzurite(): Promise<Azurite> {
  const program = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  const key = randomBytes(32).toString('base64');
  const ports = ['--blobPort', '0', '--queuePort', '0', '--tablePort', '0'];
  const accounts = Array.from({ length: 24 }, (_, index) => `test${index}`);
  const flags = ['--skipApiVersionCheck', '--disableTelemetry', '--inMemoryPersistence', '--silent'];
  const child = spawn(process.execPath, [program, ...ports, ...flags], {
    env: { ...process.env, AZURITE_ACCOUNTS: accounts.map((name) => `${name}:${key}`).join(';') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  const urls = new Map<string, string>();
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /Azurite (\w+) service is successfully listening at (\S+)/.exec(line);
    if (found?.[1] !== undefined && found[2] !== undefined) {
      urls.set(found[1], found[2]);
    }
    if (urls.size === 3) {
      break;
    }
  }
  if (urls.size < 3) {
    throw new Error('azurite ended before it listened');
  }
  child.stdout.resume();
  return {
    newAccount() {
      const name = accounts.shift();
      if (name === undefined) {
        throw new Error('all accounts of this azurite are in use');
      }
      const endpoints = [...urls].map(([service, url]) => `${service}Endpoint=${url}/${name}`);
      return ['DefaultEndpointsProtocol=http', `AccountName=${name}`, `AccountKey=${key}`, ...endpoints].join(';');
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
