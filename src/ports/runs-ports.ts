import type { Rule } from '../rules/rule.js';
import type { IgnoredFilter, PromotionFilter, RunFilter } from '../rows/filters.js';
import type {
  DestinationOwner,
  IgnoredEvent,
  PromotionRow,
  RunRow,
  RunSummary,
  Standing,
  StepProgress,
  Versioned,
} from '../rows/rows.js';

export interface Page<T> {
  items: T[];
  /** Give it back to get the next page; absent on the last one. */
  next?: string;
}

export interface PageOptions {
  /** 1 to 100; 50 as it comes. */
  size?: number;
  from?: string;
}

/** A page may hold fewer rows than asked for, none even, and `next` all the same: so much was looked at, and no more. */
export interface FilteredPageOptions<F> extends PageOptions {
  filter?: F;
}

/** Where a digest lives. */
export interface StoredDigest {
  registry: string;
  repository: string;
  digest: string;
}

/** What a promotion stands on, as a list has it; `key` and `version` are the store's. */
export interface KeptStanding extends Standing {
  key: string;
  version: string;
}

/**
 * Tables of promotions and runs. Every write is conditional where it says so: `false` means that another writer was there
 * first, and nothing was written. Everything may be called twice.
 */
export interface RunStore {
  getPromotion(id: string): Promise<Versioned<PromotionRow> | undefined>;
  /** @returns false where the row exists. */
  insertPromotion(row: PromotionRow): Promise<boolean>;
  /** @returns false where the row is no longer at `version`. */
  replacePromotion(row: PromotionRow, version: string): Promise<boolean>;
  /** Newest run first; those of one repository by tag, those of one destination in no order. */
  listPromotions(options?: FilteredPageOptions<PromotionFilter>): Promise<Page<PromotionRow>>;
  /** Rows that are not at rest: a run is open, or `wanted` is ahead of `answered`. In no order. */
  listOpenPromotions(options?: PageOptions): Promise<Page<PromotionRow>>;

  /** Removes a promotion and its claim on a destination. @returns false where the row is no longer as it is given */
  removePromotion(row: PromotionRow): Promise<boolean>;

  getRun(id: string): Promise<Versioned<RunRow> | undefined>;
  insertRun(row: RunRow): Promise<boolean>;
  replaceRun(row: RunRow, version: string): Promise<boolean>;
  /** Newest first. */
  listRuns(options?: FilteredPageOptions<RunFilter>): Promise<Page<RunSummary>>;
  /** Jobs that have not ended, oldest first. */
  listOpenJobs(options?: PageOptions): Promise<Page<RunSummary>>;
  /** Removes a run that has ended: its steps, the id of its job where that leads to it, its row last. May be done twice. */
  removeRun(run: RunSummary): Promise<void>;
  putProgress(progress: StepProgress): Promise<void>;
  /** In the order in which the steps started. */
  listProgress(runId: string): Promise<StepProgress[]>;

  /** Notes that a promotion stands on an image digest. @param seen under which digest of its tag, and when */
  addStanding(image: StoredDigest, promotionId: string, seen?: { root: string; at: string }): Promise<void>;
  /** Promotions that stand on a digest: 2,000 at most. */
  listStanding(image: StoredDigest): Promise<string[]>;
  /** All that stand on something, of every digest, in no order. */
  listStandings(options?: PageOptions): Promise<Page<KeptStanding>>;
  /** @returns false where it was noted again since it was listed */
  removeStanding(standing: KeptStanding): Promise<boolean>;

  /** Makes `owner` the owner of a destination tag where it has none; @returns who owns it now. */
  claimDestination(destination: string, owner: DestinationOwner): Promise<Versioned<DestinationOwner>>;
  /** @returns false where the row is no longer at `version`. */
  replaceDestinationOwner(destination: string, owner: DestinationOwner, version: string): Promise<boolean>;

  /** Notes that we attached this manifest ourselves, before it is pushed, and in which run. */
  markOurs(manifest: StoredDigest, runId?: string): Promise<void>;
  /** The run that attached it last; something that is no run's id where that wasn't noted, undefined where it isn't ours. */
  attachedBy(manifest: StoredDigest): Promise<string | undefined>;

  /** Gives a job id its run where it has none; @returns the run that it has now. */
  claimJob(jobId: string, runId: string): Promise<string>;
  /** The run that a job id has; undefined where nobody has claimed it. */
  findJob(jobId: string): Promise<string | undefined>;

  /** Of one tag and reason there is one row, which counts; of two writers at once both may count too little. */
  addIgnored(event: IgnoredEvent): Promise<void>;
  /** Newest first. */
  listIgnored(options?: FilteredPageOptions<IgnoredFilter>): Promise<Page<IgnoredEvent>>;

  /** Removes those from before a time, `most` of them at most. @returns how many */
  removeIgnored(before: Date, most: number): Promise<number>;

  /** A named row of a few KB of JSON with a version: cursors, guards. */
  getNote(name: string): Promise<Versioned<string> | undefined>;
  /** `version` undefined: only where it isn't there. @returns false where another was first. */
  putNote(name: string, text: string, version: string | undefined): Promise<boolean>;
}

export type EngineState = 'missing' | 'pending' | 'running' | 'ended';

/** Durable Functions, and nothing more of it than this. */
export interface Engine {
  /**
   * Starts an orchestration, at its present version, under the run's id. An instance that has not ended is left alone; one that has
   * ended is started over, and its history is lost: the first step must refuse a run whose row has ended.
   */
  start(orchestration: 'promote' | 'runJob' | 'promoteScheduled', id: string, input: object): Promise<void>;
  state(id: string): Promise<{ state: EngineState; createdAt?: string }>;
  /** Raises an external event; does nothing where the instance has ended or isn't there. */
  raise(id: string, event: string): Promise<void>;
  /** Forgets an instance that has ended, and its history; does nothing where it isn't there. */
  purge(id: string): Promise<void>;
  /** Forgets the instances that were made within a time and have ended. @returns how many */
  purgeEnded(from: Date, to: Date): Promise<number>;
}

export interface RunPorts {
  store: RunStore;
  engine: Engine;
  now(): Date;
  /** True: rows are raised, and no run is opened until the schedule finds it lifted. */
  paused: boolean;
}

/** Rules as they stand now, for the run that is opened next. */
export interface RulesSource {
  /** @throws InputError `RULES_INVALID`, `RULES_CYCLE`; ConfigurationError `RULES_UNREADABLE` */
  load(): Promise<readonly Rule[]>;
}

/** Named bytes: plans, results, kept signatures. Blobs in Azure. */
export interface Documents {
  /** @param container `documents`, `receipts` or `dead-letters`. */
  get(container: DocumentContainer, name: string): Promise<Uint8Array | undefined>;
  put(container: DocumentContainer, name: string, bytes: Uint8Array): Promise<void>;
  /** Keeps the first; @returns what is kept, ours or another's. */
  putIfAbsent(container: DocumentContainer, name: string, bytes: Uint8Array): Promise<Uint8Array>;
  /** What is kept, with the version (ETag) under which it may be replaced. */
  getVersioned(container: DocumentContainer, name: string): Promise<Versioned<Uint8Array> | undefined>;
  /** `version` undefined: only if it is not there. @returns false if another writer was first; nothing was written. */
  putVersioned(
    container: DocumentContainer,
    name: string,
    bytes: Uint8Array,
    version: string | undefined,
  ): Promise<boolean>;
  /** Removes all whose names begin with `prefix`. May be done twice. */
  removeAll(container: DocumentContainer, prefix: string): Promise<void>;
}
export type DocumentContainer = 'documents' | 'receipts' | 'dead-letters';

/** Files of people: what is pushed, and what was pulled. Blobs in Azure. */
export interface Files {
  /** In bytes; undefined where it isn't there. */
  sizeOf(container: FileContainer, name: string): Promise<number | undefined>;
  /** Those whose name begins so, in no order. */
  list(container: FileContainer, prefix: string): AsyncIterable<{ name: string; sizeBytes: number }>;
  /** All of its bytes, as they come. @throws where it isn't there. */
  open(container: FileContainer, name: string): AsyncIterable<Uint8Array>;
  /** Replaces what is there when all of it has come, never before. */
  put(
    container: FileContainer,
    name: string,
    content: AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal },
  ): Promise<void>;
}
export type FileContainer = 'source' | 'target';

export type QueueName = 'registry-events' | 'jobs' | 'registry-events-poison' | 'jobs-poison' | 'promotion-results';

/** Storage queues. Text is base64 on the wire. */
export interface Queues {
  /** @param options.delaySeconds until it can be seen, 0 as it comes. @throws InputError `MESSAGE_TOO_LARGE` over 48 KiB of text. */
  send(queue: QueueName, text: string, options?: { delaySeconds?: number }): Promise<void>;
}

/** How full the queues are. */
export interface QueueLengths {
  /** Messages in a queue, as the service estimates: those that are being handled are counted too. */
  length(queue: QueueName, signal?: AbortSignal): Promise<number>;
}
