import type { LoginServers } from '../messages/login-servers.js';
import type { Lease, Registries, RegistriesOptions, RegistryClient } from '../oci/index.js';
import type { Documents, Engine, Files, Queues, RunStore } from './runs-ports.js';
import type { RulesSource } from './runs-ports.js';
import type { SbomGenerator } from '../sbom/index.js';
import type { Signer } from '../signing/index.js';

/** What a registry holds, for the schedule: its repositories, and tags with their digests. */
export type RegistryListing = Pick<RegistryClient, 'registry' | 'repository'>;

/** How much one tick of the schedule may start. */
export interface TickLimit {
  /** New runs; the rules document has it. @throws as `RulesSource.load` does */
  maxRunsPerTick(): Promise<number>;
}

/** Repository globs: of all that an operation touches, or of the sides of a copy; a side without globs may be any repository. */
export type JobScope =
  readonly string[] | { readonly from?: readonly string[] | undefined; readonly to?: readonly string[] | undefined };

/** What jobs may do. */
export interface JobPolicy {
  /** ALLOWED_REGISTRIES. */
  allowedRegistries: readonly string[];
  operations: readonly string[];
  /** By operation; one that isn't named may touch every repository but those that rules read or write. */
  scopes: Readonly<Record<string, JobScope>>;
  /** The credentials that jobs may name, and the registry that each is for. */
  credentials: Readonly<Record<string, { registry: string }>>;
}

/** How a job reaches its registries, where that is said. */
export interface JobConnection {
  /** As it comes the app's identity. */
  credential?: string;
  /** Where referrers are kept; as it comes the registry is asked. */
  referrers?: NonNullable<RegistriesOptions['referrers']>;
}

/** Registries as a job reaches them: signed in to with a credential that it names, their referrers kept as it says. */
export interface JobRegistries {
  /** @throws PolicyError `CREDENTIAL_UNKNOWN` */
  as(connection: JobConnection): RegistryClient;
}

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
  store: RunStore;
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

/** The rows, as far as a step needs them. */
export interface StorePort<K extends keyof RunStore> {
  store: Pick<RunStore, K>;
}

/** What a step returns: its result, or that it wants to be called again after a pause. */
export type StepReply<T> = { done: T } | { later: number };

/** Tells how far a step is; written at most once a second. */
export interface StepProgressSink {
  text(text: string): void;
  bytes(done: number, total: number): void;
  /** Manifests and blobs of a copy. */
  nodes(done: number, total: number): void;
}

/** What each call of a step gets beside its input. */
export interface StepCall {
  /** Aborted when time is over, and when the run is to stop. */
  signal: AbortSignal;
  /** Aborted when time is over: for the last writes of what must not be left half made. As `signal` where it isn't there. */
  finish?: AbortSignal;
  /** For how long the run waits for this step already, in milliseconds; where it isn't there, nothing waits. */
  waitedMs?: number;
  progress: StepProgressSink;
}
