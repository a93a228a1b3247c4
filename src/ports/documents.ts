import type { Versioned } from './versioned.js';

/** Named bytes: plans, results, kept signatures. Blobs in Azure. */
export interface Documents {
  /** @param container `documents`, `receipts` or `dead-letters`. */
  get(container: DocumentContainer, name: string): Promise<Uint8Array | undefined>;
  put(container: DocumentContainer, name: string, bytes: Uint8Array): Promise<void>;
  /** Keeps the first; @returns what is kept, ours or another's. */
  putIfAbsent(container: DocumentContainer, name: string, bytes: Uint8Array): Promise<Uint8Array>;
  /** What is kept, with the version (ETag) under which it may be replaced. */
  getVersioned(container: DocumentContainer, name: string): Promise<Versioned<Uint8Array> | undefined>;
  /** `version` undefined: only if it is not there. @returns false if another writer was first; nothing was written. */
  putVersioned(
    container: DocumentContainer,
    name: string,
    bytes: Uint8Array,
    version: string | undefined,
  ): Promise<boolean>;
  /** Removes all whose names begin with `prefix`. May be done twice. */
  removeAll(container: DocumentContainer, prefix: string): Promise<void>;
}

export type DocumentContainer = 'documents' | 'receipts' | 'dead-letters';
