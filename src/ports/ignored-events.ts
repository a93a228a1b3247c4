import type { IgnoredFilter } from '../rows/lists.js';
import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { FilteredPageOptions, Page } from './page.js';

/** Events that no rule matches. */
export interface IgnoredEvents {
  /** Of one tag and reason there is one row, which counts; of two writers at once both may count too little. */
  addIgnored(event: IgnoredEvent): Promise<void>;
  /** Newest first. */
  listIgnored(options?: FilteredPageOptions<IgnoredFilter>): Promise<Page<IgnoredEvent>>;
  /** Removes those from before a time, `most` of them at most. @returns how many */
  removeIgnored(before: Date, most: number): Promise<number>;
}
