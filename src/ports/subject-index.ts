import type { Page, PageOptions } from './page.js';
import type { StoredDigest } from './stored-digest.js';
import type { Standing } from '../rows/subject-index.js';

/** What a promotion stands on, as a list has it; `key` and `version` are the store's. */
export interface KeptStanding extends Standing {
  key: string;
  version: string;
}

/** Which promotions contain a digest: what refers to it is their concern. */
export interface SubjectIndex {
  /** Notes that a promotion stands on an image digest. @param seen under which digest of its tag, and when */
  addStanding(image: StoredDigest, promotionId: string, seen?: { root: string; at: string }): Promise<void>;
  /** Promotions that stand on a digest: 2,000 at most. */
  listStanding(image: StoredDigest): Promise<string[]>;
  /** All that stand on something, of every digest, in no order. */
  listStandings(options?: PageOptions): Promise<Page<KeptStanding>>;
  /** @returns false where it was noted again since it was listed */
  removeStanding(standing: KeptStanding): Promise<boolean>;
}
