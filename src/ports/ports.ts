import type { LoginServers } from '../messages/login-servers.js';
import type { Lease, Registries } from '../oci/index.js';
import type { Documents } from './documents.js';
import type { Engine } from './engine.js';
import type { Files } from './files.js';
import type { Queues } from './queues.js';
import type { Store } from './store.js';
import type { RulesSource, TickLimit } from './rules-source.js';
import type { SbomGenerator } from '../sbom/index.js';
import type { Signer } from '../signing/index.js';
import type { RegistryListing } from './registry-listing.js';
import type { JobPolicy } from './job-policy.js';
import type { JobRegistries } from './job-registries.js';

/** How large copies are split. */
export interface CopyParts {
  /** Bytes that one activity moves at most. */
  bytes: number;
  /** Manifests and blobs of one activity. */
  nodes: number;
}

/** As much as one call does of what asks for all of a graph. */
export interface StretchLimits {
  ms: number;
  requests: number;
  /** Of what is kept of the answers. */
  bytes: number;
}

/** Everything a step may ask for; each says which part it needs. */
export interface Ports {
  registries: Registries;
  listing: RegistryListing;
  lease: Lease;
  store: Store;
  documents: Documents;
  /** What jobs push, and where they pull to. */
  files: Files;
  queues: Queues;
  engine: Engine;
  rules: RulesSource & TickLimit;
  sbom: SbomGenerator;
  /** Undefined where no key is set. */
  signer: Signer | undefined;
  /** Which host an event's registry has. */
  loginServers: LoginServers;
  jobPolicy: JobPolicy;
  jobRegistries: JobRegistries;
  copyParts: CopyParts;
  stretch: StretchLimits;
  /** True where new runs are not to be started. */
  paused: boolean;
  /** Days for which what has ended is kept. */
  retentionDays: number;
  now(): Date;
}
