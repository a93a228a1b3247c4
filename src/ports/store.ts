import type { IgnoredFilter, PromotionFilter, RunFilter } from '../rows/filters.js';
import type { DestinationOwner } from '../rows/claims.js';
import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { RunRow, RunSummary } from '../rows/run-row.js';
import type { StepProgress } from '../rows/step-progress.js';
import type { Versioned } from './versioned.js';
import type { Page, PageOptions, FilteredPageOptions } from './page.js';
import type { StoredDigest, KeptStanding } from './subject-index.js';

/** The rows, as far as a step needs them. */
export interface StorePort<K extends keyof RunStore> {
  store: Pick<RunStore, K>;
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
