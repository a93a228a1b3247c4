import type { Page, PageOptions } from './page.js';
import type { StoredDigest } from './stored-digest.js';
import type { SubjectIndexEntry } from '../rows/subject-index.js';

/** An entry as the store lists it. `key` and `version` belong to the store. */
export interface KeptSubjectIndexEntry extends SubjectIndexEntry {
  key: string;
  version: string;
}

/** Which promotions contain a digest. A new referrer of that digest triggers these promotions. */
export interface SubjectIndex {
  /**
   * Records that a promotion contains an image digest.
   * @param seen the root digest of its tag, and when a run saw it
   */
  addToSubjectIndex(image: StoredDigest, promotionId: string, seen: { root: string; at: string }): Promise<void>;
  /** The promotions that contain a digest, at most 2,000. */
  listPromotionsOfSubject(image: StoredDigest): Promise<string[]>;
  /** All entries, of all digests, in no order. */
  listSubjectIndex(options?: PageOptions): Promise<Page<KeptSubjectIndexEntry>>;
  /** @returns false if the entry was recorded again since it was listed */
  removeFromSubjectIndex(entry: KeptSubjectIndexEntry): Promise<boolean>;
}
