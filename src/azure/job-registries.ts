import { PolicyError, credentialsOf, type Credentials, type RegistryClient } from '../oci/index.js';
import type { JobConnection, JobRegistries } from '../ports/job-registries.js';

/** One credential of JOB_CREDENTIALS. */
export interface JobCredential {
  /** The only host that sees it. */
  registry: string;
  username: string;
  /** The Key Vault secret with the password: its URL. */
  secret: string;
}

export interface JobRegistriesOptions {
  entries: Readonly<Record<string, JobCredential>>;
  /** For every host that the credential isn't for. */
  others: Credentials;
  readSecret: (url: string, signal?: AbortSignal) => Promise<string>;
  /** One client for each connection: a token that was got with one credential is never used for another. */
  connect: (credentials: Credentials, referrers: JobConnection['referrers']) => RegistryClient;
}

/** The registries of jobs that name a credential or a distribution spec; the clients are made when they are asked for. */
export function createJobRegistries({ entries, others, readSecret, connect }: JobRegistriesOptions): JobRegistries {
  const known = new Map(Object.entries(entries));
  const clients = new Map<string, RegistryClient>();
  const signIn = (name: string): Credentials => {
    const entry = known.get(name);
    if (entry === undefined) {
      throw new PolicyError('CREDENTIAL_UNKNOWN', `there is no credential ${name} in the settings`, {
        remedy: 'Name one of JOB_CREDENTIALS, or leave "credential" out: the app signs in as its identity.',
      });
    }
    const { registry, username, secret } = entry;
    const find = async (signal?: AbortSignal) =>
      ({ kind: 'basic', username, password: await readSecret(secret, signal) }) as const;
    return credentialsOf([registry], find, others);
  };
  return {
    as({ credential, referrers }) {
      const key = JSON.stringify([credential, referrers]);
      const client = clients.get(key) ?? connect(credential === undefined ? others : signIn(credential), referrers);
      clients.set(key, client);
      return client;
    },
  };
}
