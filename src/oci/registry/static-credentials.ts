import type { Credentials } from './credentials.js';

/** For registries that ask for nothing, or give anonymous tokens. */
export const anonymousCredentials: Credentials = { get: () => Promise.resolve({ kind: 'anonymous' }) };

/** One user and password, for the named registry hosts; others get none. */
export function basicCredentials(username: string, password: string, registries: readonly string[]): Credentials {
  const hosts = new Set(registries.map((registry) => registry.toLowerCase()));
  return {
    get: (registry) =>
      Promise.resolve(
        hosts.has(registry.toLowerCase()) ? { kind: 'basic', username, password } : { kind: 'anonymous' },
      ),
  };
}
