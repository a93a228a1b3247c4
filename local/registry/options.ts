import type { Quirks } from './quirks.js';

/** What a user or an identity may do; actions are `pull push delete metadata_read metadata_write` or `*`. */
export interface Grant {
  /** A repository's name, or a prefix that ends in `*`. */
  repository: string;
  actions: string[];
}

/** Somebody who signs in with a password: the admin user, or, with `grants`, a repository-scoped token. */
export interface User {
  name: string;
  password: string;
  /** Everything where it is left out. */
  grants?: Grant[];
}

export interface RegistryOptions {
  /** Where content, journal and log are kept; made where it isn't there. One registry at a time. */
  dataDir: string;
  /** 0, by default, takes a free port. */
  port?: number;
  /** Address to listen on: 127.0.0.1 by default. */
  host?: string;
  /** The login server's name in events, tokens and challenges: `host:port` by default. */
  name?: string;
  users?: User[];
  /** True: no token is asked for at all. */
  anonymous?: boolean;
  /** True: who has no credentials gets tokens that allow pulling. */
  anonymousPull?: boolean;
  /** What the registry signs its tokens with, 32 bytes at least; made and kept in the data folder by default. */
  tokenSecret?: Uint8Array;
  /** File with the public keys (a JWK set) of who issues Entra tokens: local/identity's. Without it there is no exchange. */
  entraKeysFile?: string;
  /** What the identities may do, by client id or object id; everything where an identity isn't named. */
  identityGrants?: Record<string, Grant[]>;
  /** Lifetime of access tokens, in seconds: 75 minutes by default. */
  accessTokenSeconds?: number;
  /** Lifetime of refresh tokens, in seconds: 3 hours by default. */
  refreshTokenSeconds?: number;
  /**
   * Who is told of pushes and deletes: `http://localhost:7071` (the function onRegistryEvent there), or a whole URL with a path.
   * None by default.
   */
  eventsUrl?: string;
  eventSchema?: 'eventgrid' | 'cloudevents';
  /** False: an untagged push raises no event. What ACR does is not documented. True by default. */
  untaggedEvents?: boolean;
  /** Pauses before each further try of an event, in milliseconds; the last one repeats. */
  eventPausesMs?: number[];
  /** True: a manifest may be put before what it refers to. ACR refuses that, and so does this by default. */
  sparse?: boolean;
  /** Serve HTTPS with this certificate and key, both PEM. */
  tls?: { cert: string; key: string };
  /** ACR's less pleasant habits; none by default. */
  quirks?: Quirks;
}
