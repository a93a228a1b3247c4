/** The file or folder at a path; links are followed. */
export type SourceStat = { kind: 'file'; sizeBytes: number } | { kind: 'folder' };

/** One entry of a folder, the folder itself included. */
export type FolderEntry = {
  /** Relative to the folder, with `/`; empty for the folder itself. */
  path: string;
  /** Permission bits, as in a file's mode. */
  mode: number;
} & ({ kind: 'file'; sizeBytes: number } | { kind: 'folder' } | { kind: 'link'; target: string } | { kind: 'other' });

/** Where files to push come from: a folder on disk, a container of blobs, or the job itself. */
export interface FileSource {
  /** @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE` for devices other than the null device */
  stat(path: string): Promise<SourceStat>;
  /** All of a file's bytes. */
  open(path: string): AsyncIterable<Uint8Array>;
  /** A folder and its content: a folder before its entries, names in byte order, links not followed. */
  walk(path: string): AsyncIterable<FolderEntry>;
}
