import type { RegistriesOptions, RegistryClient } from '../oci/index.js';

/** How a job reaches its registries, where that is said. */
export interface JobConnection {
  /** By default the app's identity. */
  credential?: string;
  /** Where referrers are kept; by default the registry is asked. */
  referrers?: NonNullable<RegistriesOptions['referrers']>;
}

/** Registries as a job reaches them: signed in to with a credential that it names, their referrers kept as it says. */
export interface JobRegistries {
  /** @throws PolicyError `CREDENTIAL_UNKNOWN` */
  as(connection: JobConnection): RegistryClient;
}
