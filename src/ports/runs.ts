import type { RunRow } from '../rows/run-row.js';
import type { Versioned } from './versioned.js';

/** Reads and writes one run row. `false` means that another writer was first and nothing was written. */
export interface Runs {
  getRun(id: string): Promise<Versioned<RunRow> | undefined>;
  /** @returns false if the row exists */
  insertRun(row: RunRow): Promise<boolean>;
  /** @returns false if the row is no longer at `version` */
  replaceRun(row: RunRow, version: string): Promise<boolean>;
}
