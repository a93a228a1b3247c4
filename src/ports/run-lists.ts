import type { RunFilter } from '../rows/lists.js';
import type { RunSummary } from '../rows/run-row.js';
import type { FilteredPageOptions, Page, PageOptions } from './page.js';

/** Lists of runs, and what takes them out of the lists. */
export interface RunLists {
  /** Newest first. */
  listRuns(options?: FilteredPageOptions<RunFilter>): Promise<Page<RunSummary>>;
  /**
   * What the schedule reconciles: jobs that have not ended, oldest first; then runs whose result event was not sent, newest first. One
   * request a page.
   */
  listDueRuns(options?: PageOptions): Promise<Page<RunSummary>>;
  /** Removes a run that has ended: its steps, the id of its job where that leads to it, its row last. May be done twice. */
  removeRun(run: RunSummary): Promise<void>;
}
