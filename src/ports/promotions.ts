import type { PromotionRow } from '../rows/promotion-row.js';
import type { Versioned } from './versioned.js';

/** The rows of promotions, one by one. `false` means that another writer was first, and that nothing was written. */
export interface Promotions {
  getPromotion(id: string): Promise<Versioned<PromotionRow> | undefined>;
  /** @returns false where the row exists. */
  insertPromotion(row: PromotionRow): Promise<boolean>;
  /** @returns false where the row is no longer at `version`. */
  replacePromotion(row: PromotionRow, version: string): Promise<boolean>;
}
