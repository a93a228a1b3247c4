import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HostRequest } from './exchange.js';

type KeyName = 'master' | 'function' | 'eventgrid' | 'durabletask';

/** Who may call what. Without `--keys` everybody on this machine may. */
export interface Keys {
  /** @returns whether the request carries that key or the master key. */
  allows(request: HostRequest, name: KeyName): boolean;
  /** `code=KEY` for a link, empty where no key is asked. */
  query(name: KeyName): string;
}

export const noKeys: Keys = { allows: () => true, query: () => '' };

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function newKey(): string {
  return randomBytes(32).toString('base64url');
}

function isEqual(left: string, right: string): boolean {
  return timingSafeEqual(digest(left), digest(right));
}

/** Keys made at the first start, and kept in a file that only its owner may read. */
export function readKeys(path: string): Keys {
  let keys: Record<KeyName, string>;
  try {
    keys = JSON.parse(readFileSync(path, 'utf8')) as Record<KeyName, string>;
  } catch {
    keys = { master: newKey(), function: newKey(), eventgrid: newKey(), durabletask: newKey() };
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(keys, undefined, 2), { mode: 0o600 });
    chmodSync(path, 0o600);
  }
  return {
    allows(request, name) {
      const header = request.headers['x-functions-key'];
      const given = typeof header === 'string' ? header : request.url.searchParams.get('code');
      return given !== null && (isEqual(given, keys[name]) || isEqual(given, keys.master));
    },
    query: (name) => `code=${keys[name]}`,
  };
}
