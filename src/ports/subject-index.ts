import type { Standing } from '../rows/subject-index.js';

/** Where a digest lives. */
export interface StoredDigest {
  registry: string;
  repository: string;
  digest: string;
}

/** What a promotion stands on, as a list has it; `key` and `version` are the store's. */
export interface KeptStanding extends Standing {
  key: string;
  version: string;
}
