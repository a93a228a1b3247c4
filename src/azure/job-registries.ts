import { PolicyError, credentialsOf, type Credentials, type RegistryClient } from '../oci/index.js';
import type { JobConnection, JobRegistries } from '../ports/job-registries.js';

/** One entry of JOB_CREDENTIALS. */
export interface JobCredential {
  /** The only host that gets the password. */
  registry: string;
  username: string;
  /** The URL of the Key Vault secret with the password. */
  secret: string;
}

export interface JobRegistriesOptions {
  entries: Readonly<Record<string, JobCredential>>;
  /** Used for every host other than the credential's. */
  others: Credentials;
  readSecret: (url: string, signal?: AbortSignal) => Promise<string>;
  /** Makes one client per connection, so that a token from one credential is never used for another. */
  connect: (credentials: Credentials, referrers: JobConnection['referrers']) => RegistryClient;
}

/** The registry clients of jobs that name a credential or a distribution spec. Clients are made on first use. */
export function createJobRegistries({ entries, others, readSecret, connect }: JobRegistriesOptions): JobRegistries {
  const known = new Map(Object.entries(entries));
  const clients = new Map<string, RegistryClient>();
  const signIn = (name: string): Credentials => {
    const entry = known.get(name);
    if (entry === undefined) {
      throw new PolicyError('CREDENTIAL_UNKNOWN', `JOB_CREDENTIALS has no entry ${name}`, {
        remedy: 'Use a name from JOB_CREDENTIALS, or omit "credential" to sign in with the app’s identity.',
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
