import type { ScanRow } from '../rows/scan-row.js';
import type { Page } from './page.js';
import type { Versioned } from './versioned.js';

/** The scan state of the schedule, one row for each repository of a rule. */
export interface ScanRows {
  /** 1,000 rows per page, in no order. */
  listScanRows(from?: string): Promise<Page<Versioned<ScanRow>>>;
  /** @returns false if the row exists */
  insertScanRow(row: ScanRow): Promise<boolean>;
  /** @returns its new version; undefined if the row is no longer at `version` */
  replaceScanRow(row: ScanRow, version: string): Promise<string | undefined>;
  /** @returns false if the row is no longer at `version` */
  removeScanRow(row: ScanRow, version: string): Promise<boolean>;
}
