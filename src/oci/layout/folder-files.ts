import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { tooLarge } from '../content.js';
import { isRecord } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';

/** Bytes of one read from disk. */
const READ_BYTES = 256 * 1024;

/** True for the error of a file or folder that does not exist. */
export function isMissingFile(error: unknown): boolean {
  return isRecord(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

/** The files of a layout in a folder. */
export class FolderFiles implements LayoutFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  read(name: string, limitBytes: number): Promise<Uint8Array | undefined> {
    return unlessMissing(async () => {
      const file = await open(join(this.#root, name));
      try {
        const { size } = await file.stat();
        if (size > limitBytes) throw tooLarge(join(this.#root, name), limitBytes, size);
        return new Uint8Array(await file.readFile());
      } finally {
        await file.close();
      }
    });
  }

  size(name: string): Promise<number | undefined> {
    return unlessMissing(async () => {
      const entry = await stat(join(this.#root, name));
      return entry.isFile() ? entry.size : undefined;
    });
  }

  open(name: string, offset: number): AsyncIterable<Uint8Array> {
    return createReadStream(join(this.#root, name), { start: offset, highWaterMark: READ_BYTES });
  }

  async list(folder: string): Promise<{ name: string; size: number }[]> {
    const entries = (await unlessMissing(() => readdir(join(this.#root, folder)))) ?? [];
    const sized = await Promise.all(
      entries.map(async (name) => ({ name, size: await this.size(`${folder}/${name}`) })),
    );
    return sized.flatMap(({ name, size }) => (size === undefined ? [] : [{ name, size }]));
  }
}

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
}

/** True if the file system refused to write a file of the layout. An error of reading the source does not count. */
function isRefusal(error: unknown, root: string): error is Record<string, unknown> {
  if (!isRecord(error) || typeof error.code !== 'string' || typeof error.syscall !== 'string') return false;
  if (typeof error.path !== 'string') return error.syscall === 'write';
  // mkdir may have failed for a parent folder.
  const [path, own] = [resolve(error.path), resolve(root)];
  return path.startsWith(own) || (error.syscall === 'mkdir' && own.startsWith(path));
}

/**
 * Runs work that writes to a layout.
 * @throws ConfigurationError `LAYOUT_UNWRITABLE` if the file system refuses
 * @throws any other error of `work`
 */
export async function writing<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isRefusal(cause, root)) throw cause;
    throw new ConfigurationError(
      'LAYOUT_UNWRITABLE',
      `the OCI image layout ${root} cannot be written (${String(cause.code)})`,
      {
        cause,
        remedy: 'Choose a writable folder with free space.',
      },
    );
  }
}
