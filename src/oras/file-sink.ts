/** What is kept of a file besides its bytes. */
export interface FileAttributes {
  /** Permission bits. By default those of a new file or folder. */
  mode?: number;
  /** By default the time it is written. */
  modified?: Date;
}

/**
 * Files of one pull, of which nothing is seen before `commit`. Names have `/`; of two files or links under one name all must be the
 * same, and nothing goes through a file or a link.
 */
export interface StagedFiles {
  /**
   * Takes all of a file's bytes; where `content` throws, nothing of it stays.
   * @throws InputError `FILE_NAME_DUPLICATE`, `PATH_BLOCKED`; what `content` throws
   */
  file(name: string, content: AsyncIterable<Uint8Array>, attributes?: FileAttributes): Promise<void>;
  /** A folder; one that is there already keeps its first attributes. */
  folder(name: string, attributes?: FileAttributes): Promise<void>;
  /** A link that stands for `target`, as it is written. That it leads nowhere else is for the caller to see. */
  link(name: string, target: string, attributes?: FileAttributes): Promise<void>;
  /** The bytes of a file that is staged already. */
  copy(name: string, from: string, attributes?: FileAttributes): Promise<void>;
  /**
   * Makes all of it visible. Refuses before the first change what would not go.
   * @throws InputError `FILE_EXISTS`, `FILE_NAME_DUPLICATE`, `PATH_BLOCKED`
   */
  commit(): Promise<void>;
  /** Drops what was not committed. */
  discard(): Promise<void>;
}

/** Where pulled files go: a folder on disk, a container of blobs. */
export interface FileSink {
  /** Where a name will stand, for whoever reads it. @throws InputError `PATH_OUTSIDE` */
  locate(name: string): string;
  begin(): Promise<StagedFiles>;
}
