import type { RegistryClient } from '../oci/index.js';

/** What a registry holds, for the schedule: its repositories, and tags with their digests. */
export type RegistryListing = Pick<RegistryClient, 'registry' | 'repository'>;
