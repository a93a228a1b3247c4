import type { LoginServers } from '../messages/registry-event.js';
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

/** As much as one call of a long step does. */
export interface CallBounds {
  /** How long it works, in milliseconds. */
  ms: number;
  /** How long, in milliseconds, if another long step of its process waits for its permit. */
  turnMs: number;
  /** What it asks registries for, or does there. */
  requests: number;
  /** Bytes of what it keeps of the answers. */
  bytes: number;
  /** A blob with more bytes is moved in pieces of an upload that is kept open from call to call. */
  largeBlobBytes: number;
}

/** Requests a minute that the schedule makes of one registry. */
export interface ScheduleRequests {
  /** Of change scans and full scans. */
  scan: number;
  /** Of resync, beside them. */
  resync: number;
}

/** Everything a step may ask for; each says which part it needs. */
export interface Ports {
  registries: Registries;
  listing: RegistryListing;
  /** The same registries, which call `onRequest` before each request; what it throws takes the request's place. */
  counted(onRequest: (registry: string) => void): Pick<Ports, 'registries' | 'listing'>;
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
  callBounds: CallBounds;
  scheduleRequests: ScheduleRequests;
  /** True where new runs are not to be started. */
  paused: boolean;
  /** Days for which what has ended is kept. */
  retentionDays: number;
  now(): Date;
}
