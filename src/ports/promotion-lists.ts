import type { PromotionFilter } from '../rows/filters.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { FilteredPageOptions, Page, PageOptions } from './page.js';

/** Lists of promotions, and what takes them out of the lists. */
export interface PromotionLists {
  /** Newest run first; with a filter by repository, by tag; with a filter by destination, in no order. */
  listPromotions(options?: FilteredPageOptions<PromotionFilter>): Promise<Page<PromotionRow>>;
  /** Rows that are not at rest: a run is open, or `wanted` is ahead of `answered`. In no order. */
  listOpenPromotions(options?: PageOptions): Promise<Page<PromotionRow>>;
  /** Removes a promotion and its claim on a destination. @returns false where the row is no longer as it is given */
  removePromotion(row: PromotionRow): Promise<boolean>;
}
