import type { Credential, Credentials } from './credentials.js';
import { registryOrigin } from './urls.js';

/** For registries that need no credential or issue anonymous tokens. */
export const anonymousCredentials: Credentials = { get: () => Promise.resolve({ kind: 'anonymous' }) };

/**
 * Finds a credential on demand, for the named registry hosts only.
 * @param others credentials for all other hosts; none by default
 */
export function credentialsOf(
  registries: readonly string[],
  find: (signal?: AbortSignal) => Promise<Credential>,
  others: Credentials = anonymousCredentials,
): Credentials {
  // Lookups use the host in URLs: without a standard port, and for Docker Hub the host of its API.
  const hosts = new Set(
    registries.flatMap((registry) => [
      registry.toLowerCase(),
      ...[true, false].map((plainHttp) => new URL(registryOrigin(registry, plainHttp)).host),
    ]),
  );
  return {
    get: (registry, signal) => (hosts.has(registry.toLowerCase()) ? find(signal) : others.get(registry, signal)),
  };
}

/** One user and password for the named registry hosts. Other hosts get no credential. */
export function basicCredentials(username: string, password: string, registries: readonly string[]): Credentials {
  return credentialsOf(registries, () => Promise.resolve({ kind: 'basic', username, password }));
}
