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

/** Limits of one call of a long step. */
export interface CallBounds {
  /** Maximum milliseconds of work. */
  ms: number;
  /** Maximum milliseconds of work while another long step of the process waits for this one's permit. */
  turnMs: number;
  /** Maximum requests to registries. */
  requests: number;
  /** Maximum bytes of answers that are stored. */
  bytes: number;
  /** A blob that is larger is uploaded in chunks, in one upload session that continues from call to call. */
  largeBlobBytes: number;
}

/** Maximum requests per minute that the schedule sends to one registry. */
export interface ScheduleRequests {
  /** For change scans and full scans. */
  scan: number;
  /** For resyncs, in addition. */
  resync: number;
}

/** Everything that a step may use. Each step names the part that it needs. */
export interface Ports {
  registries: Registries;
  listing: RegistryListing;
  /** The same registries. They call `onRequest` before each request; if it throws, the request is not sent. */
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
  /** Undefined if no key is configured. */
  signer: Signer | undefined;
  /** Maps the registry of an event to its host. */
  loginServers: LoginServers;
  jobPolicy: JobPolicy;
  jobRegistries: JobRegistries;
  callBounds: CallBounds;
  scheduleRequests: ScheduleRequests;
  /** True if no new run may start. */
  paused: boolean;
  /** How many days ended runs and other old rows are kept. */
  retentionDays: number;
  now(): Date;
}
