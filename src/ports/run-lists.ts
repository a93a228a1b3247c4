import type { RunFilter } from '../rows/lists.js';
import type { RunSummary } from '../rows/run-row.js';
import type { FilteredPageOptions, Page, PageOptions } from './page.js';

/** Lists runs and removes them. */
export interface RunLists {
  /** Newest first. */
  listRuns(options?: FilteredPageOptions<RunFilter>): Promise<Page<RunSummary>>;
  /**
   * Lists what the schedule reconciles: open jobs, oldest first, then runs whose result event was not sent, newest
   * first. One request per page.
   */
  listDueRuns(options?: PageOptions): Promise<Page<RunSummary>>;
  /**
   * Removes a run that has ended: its steps, the id of its job if the id still belongs to this run, and last its row.
   * Can be repeated.
   */
  removeRun(run: RunSummary): Promise<void>;
}
