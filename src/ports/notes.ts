import type { Versioned } from './versioned.js';

/** Named rows of a few KB of JSON, each with a version: cursors of the schedule. */
export interface Notes {
  getNote(name: string): Promise<Versioned<string> | undefined>;
  /** `version` undefined: only where it isn't there. @returns false where another was first. */
  putNote(name: string, text: string, version: string | undefined): Promise<boolean>;
}
