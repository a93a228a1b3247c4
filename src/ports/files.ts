/** Files of people: what is pushed, and what was pulled. Blobs in Azure. */
export interface Files {
  /** In bytes; undefined where it isn't there. */
  sizeOf(container: FileContainer, name: string): Promise<number | undefined>;
  /** Those whose name begins so, in no order. */
  list(container: FileContainer, prefix: string): AsyncIterable<{ name: string; sizeBytes: number }>;
  /** All of its bytes, in order. @throws where it isn't there. */
  open(container: FileContainer, name: string): AsyncIterable<Uint8Array>;
  /** Replaces what is there when all of it has come, never before. */
  put(
    container: FileContainer,
    name: string,
    content: AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal },
  ): Promise<void>;
}

export type FileContainer = 'source' | 'target';
