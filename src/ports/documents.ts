import type { Versioned } from './versioned.js';

/** Bytes by name: plans, results, recorded signatures. Blobs in Azure. */
export interface Documents {
  /** @param container `documents`, `receipts`, `dead-letters` or `layers`. */
  get(container: DocumentContainer, name: string): Promise<Uint8Array | undefined>;
  put(container: DocumentContainer, name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Writes a document if there is none.
   * @returns the stored document: this one or the earlier one
   */
  putIfAbsent(container: DocumentContainer, name: string, bytes: Uint8Array): Promise<Uint8Array>;
  /** The document with its version (ETag), which `putVersioned` takes. */
  getVersioned(container: DocumentContainer, name: string): Promise<Versioned<Uint8Array> | undefined>;
  /**
   * Replaces the document if it is still at `version`. If `version` is undefined, writes it if there is none.
   * @returns the new version; undefined if another writer was first and nothing was written
   */
  putVersioned(
    container: DocumentContainer,
    name: string,
    bytes: Uint8Array,
    version: string | undefined,
  ): Promise<string | undefined>;
  /** Removes all documents whose names begin with `prefix`. Can be repeated. */
  removeAll(container: DocumentContainer, prefix: string): Promise<void>;
}

export type DocumentContainer = 'documents' | 'receipts' | 'dead-letters' | 'layers';
