import type { IgnoredFilter } from '../rows/lists.js';
import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { FilteredPageOptions, Page } from './page.js';

/** Events that match no rule. */
export interface IgnoredEvents {
  /**
   * Counts the event in one row per tag and reason. If two writers count at the same time, the count may be too low.
   */
  addIgnored(event: IgnoredEvent): Promise<void>;
  /** Newest first. */
  listIgnored(options?: FilteredPageOptions<IgnoredFilter>): Promise<Page<IgnoredEvent>>;
  /**
   * Removes events from before a time, at most `most`.
   * @returns how many
   */
  removeIgnored(before: Date, most: number): Promise<number>;
}
