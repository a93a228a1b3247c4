/** What stands at a path that is to be pushed; links are followed. */
export type SourceStat = { kind: 'file'; sizeBytes: number } | { kind: 'folder' };

/** One entry of a folder, the folder itself included. */
export type FolderEntry = {
  /** Below the folder, with `/`; empty for the folder itself. */
  path: string;
  /** Permission bits, as in a file's mode. */
  mode: number;
} & ({ kind: 'file'; sizeBytes: number } | { kind: 'folder' } | { kind: 'link'; target: string } | { kind: 'other' });

/** Where files to push come from: a folder on disk, a container of blobs, a job's own text. */
export interface FileSource {
  /** @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE` for a device and the like, but the one that is always empty */
  stat(path: string): Promise<SourceStat>;
  /** All of a file's bytes. */
  open(path: string): AsyncIterable<Uint8Array>;
  /** A folder and all that is in it: a folder before what is in it, names in the order of bytes, links not followed. */
  walk(path: string): AsyncIterable<FolderEntry>;
}
