import type { PromotionFilter, ResyncLane, ResyncTurn } from '../rows/lists.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { FilteredPageOptions, Page, PageOptions } from './page.js';

/** Lists promotions and removes them. */
export interface PromotionLists {
  /** Newest run first; by tag if the filter names a repository; in no order if it names a destination. */
  listPromotions(options?: FilteredPageOptions<PromotionFilter>): Promise<Page<PromotionRow>>;
  /**
   * Lists what the schedule reconciles. First, in no order, rows with an open run or with `generation` ahead of
   * `observedGeneration`. Then, if `by` is given, failed rows whose `retryAt` is not after `by`, the earliest first.
   * One request per page.
   */
  listDuePromotions(options?: PageOptions & { by?: Date }): Promise<Page<PromotionRow>>;
  /**
   * The first 1 to 100 promotions of this list, ordered by when their resync is due. Includes those that are not due
   * yet. One request.
   */
  listResync(lane: ResyncLane, list: ResyncTurn['list'], size: number): Promise<PromotionRow[]>;
  /**
   * Removes a promotion and its destination claim.
   * @returns false if the row has changed since it was read
   */
  removePromotion(row: PromotionRow): Promise<boolean>;
}
