import type { RunRow } from '../rows/run-row.js';
import type { Versioned } from './versioned.js';

/** The rows of runs, one by one. `false` means that another writer was first, and that nothing was written. */
export interface Runs {
  getRun(id: string): Promise<Versioned<RunRow> | undefined>;
  /** @returns false where the row exists. */
  insertRun(row: RunRow): Promise<boolean>;
  /** @returns false where the row is no longer at `version`. */
  replaceRun(row: RunRow, version: string): Promise<boolean>;
}
