/** The attributes of a file that are kept. */
export interface FileAttributes {
  /** Permission bits. Default: those of a new file or folder. */
  mode?: number;
  /** Default: the time of writing. */
  modified?: Date;
}

/**
 * The files of one pull. None is visible before `commit`. Names use `/`. Two files or links with one name must be equal, and no name goes
 * through a file or a link.
 */
export interface StagedFiles {
  /**
   * Writes all bytes of a file. If `content` throws, nothing of it stays.
   * @throws InputError `FILE_NAME_DUPLICATE`, `PATH_BLOCKED`; what `content` throws
   */
  file(name: string, content: AsyncIterable<Uint8Array>, attributes?: FileAttributes): Promise<void>;
  /** Adds a folder. The first attributes count. */
  folder(name: string, attributes?: FileAttributes): Promise<void>;
  /** Adds a link to `target`, as it is written. The caller checks that it does not lead out of the folder. */
  link(name: string, target: string, attributes?: FileAttributes): Promise<void>;
  /** The bytes of a staged file. */
  copy(name: string, from: string, attributes?: FileAttributes): Promise<void>;
  /**
   * Makes all files visible. Everything is checked before the first change.
   * @throws InputError `FILE_EXISTS`, `FILE_NAME_DUPLICATE`, `PATH_BLOCKED`
   */
  commit(): Promise<void>;
  /** Removes what was not committed. */
  discard(): Promise<void>;
}

/** The destination of a pull: a folder, or a container of blobs. */
export interface FileSink {
  /** The path that a name will have. @throws InputError `PATH_OUTSIDE` */
  locate(name: string): string;
  begin(): Promise<StagedFiles>;
}
