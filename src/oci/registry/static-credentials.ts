import type { Credentials } from './credentials.js';
import { registryOrigin } from './urls.js';

/** For registries that ask for nothing, or give anonymous tokens. */
export const anonymousCredentials: Credentials = { get: () => Promise.resolve({ kind: 'anonymous' }) };

/** One user and password, for the named registry hosts; others get none. */
export function basicCredentials(username: string, password: string, registries: readonly string[]): Credentials {
  // Asked for by the host in URLs: without a standard port, and Docker Hub by where its API is.
  const hosts = new Set(
    registries.flatMap((registry) => [
      registry.toLowerCase(),
      ...[true, false].map((plainHttp) => new URL(registryOrigin(registry, plainHttp)).host),
    ]),
  );
  return {
    get: (registry) =>
      Promise.resolve(
        hosts.has(registry.toLowerCase()) ? { kind: 'basic', username, password } : { kind: 'anonymous' },
      ),
  };
}
