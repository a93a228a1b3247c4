import type { Page, PageOptions } from './page.js';
import type { StoredDigest } from './stored-digest.js';
import type { SubjectIndexEntry } from '../rows/subject-index.js';

/** What a promotion stands on, as a list has it; `key` and `version` are the store's. */
export interface KeptSubjectIndexEntry extends SubjectIndexEntry {
  key: string;
  version: string;
}

/** Which promotions contain a digest: what refers to it is their concern. */
export interface SubjectIndex {
  /** Notes that a promotion stands on an image digest. @param seen under which digest of its tag, and when */
  addToSubjectIndex(image: StoredDigest, promotionId: string, seen?: { root: string; at: string }): Promise<void>;
  /** Promotions that stand on a digest: 2,000 at most. */
  listPromotionsOfSubject(image: StoredDigest): Promise<string[]>;
  /** All that stand on something, of every digest, in no order. */
  listSubjectIndex(options?: PageOptions): Promise<Page<KeptSubjectIndexEntry>>;
  /** @returns false where it was noted again since it was listed */
  removeFromSubjectIndex(standing: KeptSubjectIndexEntry): Promise<boolean>;
}
