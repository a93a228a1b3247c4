import type { RegistryClient } from '../oci/index.js';

/** The registry calls of the schedule: lists of repositories, and of tags with their digests. */
export type RegistryListing = Pick<RegistryClient, 'registry' | 'repository'>;
