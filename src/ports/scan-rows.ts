import type { ScanRow } from '../rows/scan-row.js';
import type { Page } from './page.js';
import type { Versioned } from './versioned.js';

/** The rows of the schedule's scans, one for each repository of a rule. */
export interface ScanRows {
  /** A thousand for each call, in no order. */
  listScanRows(from?: string): Promise<Page<Versioned<ScanRow>>>;
  /** @returns false where the row exists. */
  insertScanRow(row: ScanRow): Promise<boolean>;
  /** @returns its new version; undefined where the row is no longer at `version` */
  replaceScanRow(row: ScanRow, version: string): Promise<string | undefined>;
  /** @returns false where the row is no longer at `version`. */
  removeScanRow(row: ScanRow, version: string): Promise<boolean>;
}
