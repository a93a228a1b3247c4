/** Files of users: what a job pushes, and what it pulled. Blobs in Azure. */
export interface Files {
  /** The size in bytes; undefined if there is no such file. */
  sizeOf(container: FileContainer, name: string): Promise<number | undefined>;
  /** The files whose names begin with `prefix`, in no order. */
  list(container: FileContainer, prefix: string): AsyncIterable<{ name: string; sizeBytes: number }>;
  /**
   * The whole content, in order.
   * @throws if there is no such file
   */
  open(container: FileContainer, name: string): AsyncIterable<Uint8Array>;
  /** Writes or replaces a file. The new content is visible only after all of it has arrived. */
  put(
    container: FileContainer,
    name: string,
    content: AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal },
  ): Promise<void>;
}

export type FileContainer = 'source' | 'target';
