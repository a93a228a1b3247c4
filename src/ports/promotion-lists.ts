import type { PromotionFilter, ResyncLane, ResyncTurn } from '../rows/lists.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { FilteredPageOptions, Page, PageOptions } from './page.js';

/** Lists of promotions, and what takes them out of the lists. */
export interface PromotionLists {
  /** Newest run first; with a filter by repository, by tag; with a filter by destination, in no order. */
  listPromotions(options?: FilteredPageOptions<PromotionFilter>): Promise<Page<PromotionRow>>;
  /**
   * What the schedule reconciles: rows that are not at rest (a run is open, or `generation` is ahead of `observedGeneration`), in no order; then, if
   * `by` is given, failed ones whose `retryAt` is not after it, the earliest first. One request a page.
   */
  listDuePromotions(options?: PageOptions & { by?: Date }): Promise<Page<PromotionRow>>;
  /** The first of those that resync looks at, by when they are due, also those that are not due yet: one request for 1 to 100. */
  listResync(lane: ResyncLane, list: ResyncTurn['list'], size: number): Promise<PromotionRow[]>;
  /** Removes a promotion and its claim on a destination. @returns false where the row is no longer as it is given */
  removePromotion(row: PromotionRow): Promise<boolean>;
}
