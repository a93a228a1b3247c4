import { registryOrigin } from './urls.js';

/** A credential for a registry. */
export type Credential =
  | { kind: 'anonymous' }
  /** User and password, a service principal, the admin user, or a repository-scoped token. */
  | { kind: 'basic'; username: string; password: string }
  /** A registry's own refresh token, as `az acr login` writes it to the Docker config. */
  | { kind: 'refreshToken'; refreshToken: string }
  /** A Microsoft Entra access token, which is exchanged at `/oauth2/exchange`. */
  | {
      kind: 'entra';
      accessToken: string;
      tenant?: string;
      /** Use the registry anonymously if it does not know this identity. Default: no. */
      orAnonymous?: true;
    };

/** Finds the credential for a registry host. It is called again when tokens are renewed, and may cache. */
export interface Credentials {
  get(registry: string, signal?: AbortSignal): Promise<Credential>;
}

/** Credentials for registries that need none or issue anonymous tokens. */
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
