import type { Versioned } from './versioned.js';

/** Small JSON texts (a few KB) by name, each with a version: cursors of the schedule. */
export interface Notes {
  getNote(name: string): Promise<Versioned<string> | undefined>;
  /**
   * Writes the text if it is still at `version`. If `version` is undefined, writes it if there is none.
   * @returns false if another writer was first
   */
  putNote(name: string, text: string, version: string | undefined): Promise<boolean>;
}
