/** Where a layout's files come from: a folder or a tar archive. Names are relative, with `/`. */
export interface LayoutFiles {
  /** @returns undefined where there is no such file. @throws IntegrityError `TOO_LARGE` over `limitBytes`. */
  read(name: string, limitBytes: number): Promise<Uint8Array | undefined>;
  /** In bytes; undefined where there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** From `offset` to the end. */
  open(name: string, offset: number): AsyncIterable<Uint8Array>;
  /** Names and sizes of the files directly in a folder; none where it isn't there. */
  list(folder: string): Promise<{ name: string; size: number }[]>;
  /** Changes when a file is added to, or taken from, the folder. */
  stamp(folder: string): Promise<string>;
}
