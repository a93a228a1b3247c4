import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HostRequest } from './exchange.js';

type KeyName = 'master' | 'function' | 'eventgrid' | 'durabletask';

/** Which keys allow which calls. Without `--keys`, everybody on this machine may call everything. */
export interface Keys {
  /** @returns true if the request has that key or the master key */
  allows(request: HostRequest, name: KeyName): boolean;
  /** `code=KEY` for a link; empty if no key is required. */
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

/** Reads the keys from a file that only its owner can read. Makes them at the first start. */
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
