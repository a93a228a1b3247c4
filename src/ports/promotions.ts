import type { PromotionRow } from '../rows/promotion-row.js';
import type { Versioned } from './versioned.js';

/** Reads and writes one promotion row. `false` means that another writer was first and nothing was written. */
export interface Promotions {
  getPromotion(id: string): Promise<Versioned<PromotionRow> | undefined>;
  /** @returns false if the row exists */
  insertPromotion(row: PromotionRow): Promise<boolean>;
  /** @returns false if the row is no longer at `version` */
  replacePromotion(row: PromotionRow, version: string): Promise<boolean>;
}
