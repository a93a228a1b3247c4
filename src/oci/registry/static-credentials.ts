import type { Credential, Credentials } from './credentials.js';
import { registryOrigin } from './urls.js';

/** For registries that ask for nothing, or give anonymous tokens. */
export const anonymousCredentials: Credentials = { get: () => Promise.resolve({ kind: 'anonymous' }) };

/**
 * A credential that is found when it is wanted, for the named registry hosts only.
 * @param others for every other host; by default none
 */
export function credentialsOf(
  registries: readonly string[],
  find: (signal?: AbortSignal) => Promise<Credential>,
  others: Credentials = anonymousCredentials,
): Credentials {
  // Asked for by the host in URLs: without a standard port, and Docker Hub by where its API is.
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

/** One user and password, for the named registry hosts; others get none. */
export function basicCredentials(username: string, password: string, registries: readonly string[]): Credentials {
  return credentialsOf(registries, () => Promise.resolve({ kind: 'basic', username, password }));
}
