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
