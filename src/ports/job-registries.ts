import type { RegistriesOptions, RegistryClient } from '../oci/index.js';

/** How a job connects to its registries, if it says so. */
export interface JobConnection {
  /** Default: the app's identity. */
  credential?: string;
  /** How referrers are stored. Default: ask the registry. */
  referrers?: NonNullable<RegistriesOptions['referrers']>;
}

/** Registries as a job connects to them: with the credential that it names and its way to store referrers. */
export interface JobRegistries {
  /** @throws PolicyError `CREDENTIAL_UNKNOWN` */
  as(connection: JobConnection): RegistryClient;
}
