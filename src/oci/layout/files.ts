/** The files of a layout: in a folder or a tar archive. Names are relative, with `/`. */
export interface LayoutFiles {
  /**
   * Reads a file.
   * @returns undefined if it does not exist
   * @throws IntegrityError `TOO_LARGE` for more than `limitBytes`
   */
  read(name: string, limitBytes: number): Promise<Uint8Array | undefined>;
  /** The size in bytes. Undefined if the file does not exist. */
  size(name: string): Promise<number | undefined>;
  /** Reads from `offset` to the end. */
  open(name: string, offset: number): AsyncIterable<Uint8Array>;
  /** Names and sizes of the files directly in a folder. Empty if the folder does not exist. */
  list(folder: string): Promise<{ name: string; size: number }[]>;
  /** A value that changes when a file is added to the folder or removed from it. */
  stamp(folder: string): Promise<string>;
}
