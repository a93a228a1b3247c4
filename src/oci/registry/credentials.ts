/** What a registry is signed in to with. */
export type Credential =
  | { kind: 'anonymous' }
  /** User and password, service principal, admin user, repository-scoped token. */
  | { kind: 'basic'; username: string; password: string }
  /** A registry's own refresh token, as `az acr login` leaves it in the Docker config. */
  | { kind: 'refreshToken'; refreshToken: string }
  /** A Microsoft Entra access token, to be exchanged at `/oauth2/exchange`. */
  | {
      kind: 'entra';
      accessToken: string;
      tenant?: string;
      /** Where the registry doesn't know who it is, it is asked anonymously. By default it isn't. */
      orAnonymous?: true;
    };

/** Finds the credential for a registry host. Asked again when tokens must be renewed; may cache. */
export interface Credentials {
  get(registry: string, signal?: AbortSignal): Promise<Credential>;
}
