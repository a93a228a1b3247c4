import type { Quirks } from './quirks.js';

/** What a user or identity may do. Actions: `pull push delete metadata_read metadata_write` or `*`. */
export interface Grant {
  /** A repository's name, or a prefix that ends with `*`. */
  repository: string;
  actions: string[];
}

/** A user with a password: the admin user, or a repository-scoped token if it has `grants`. */
export interface User {
  name: string;
  password: string;
  /** Default: everything. */
  grants?: Grant[];
}

export interface RegistryOptions {
  /** The folder for content, journal and log; created if missing. Only one registry may use it at a time. */
  dataDir: string;
  /** Default 0: a free port. */
  port?: number;
  /** Address to listen on. Default: 127.0.0.1. */
  host?: string;
  /** The login server's name in events, tokens and challenges. Default: `host:port`. */
  name?: string;
  users?: User[];
  /** If true, no token is required. */
  anonymous?: boolean;
  /** If true, clients without credentials get tokens that allow pulling. */
  anonymousPull?: boolean;
  /**
   * A file with the public keys (a JWK set) of the issuer of Entra tokens, that is local/identity. Without it, Entra
   * tokens cannot be exchanged.
   */
  entraKeysFile?: string;
  /** Lifetime of access tokens in seconds. Default: 75 minutes. */
  accessTokenSeconds?: number;
  /** Lifetime of refresh tokens in seconds. Default: 3 hours. */
  refreshTokenSeconds?: number;
  /**
   * The receiver of push and delete events: `http://localhost:7071` (the function onRegistryEvent there) or a full URL.
   * Default: none.
   */
  eventsUrl?: string;
  eventSchema?: 'eventgrid' | 'cloudevents';
  /** Pauses before further delivery attempts, in milliseconds. The last one repeats. */
  eventPausesMs?: number[];
  /** If true, a manifest may be pushed before what it refers to. ACR refuses that, and so does this registry by default. */
  sparse?: boolean;
  /** Serves HTTPS with this certificate and key, both PEM. */
  tls?: { cert: string; key: string };
  /** Unwelcome behaviour of real registries. Default: none. */
  quirks?: Quirks;
}
