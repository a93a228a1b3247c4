import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../descriptor.js';
import { tooLarge } from '../content.js';
import type { LayoutFiles } from './files.js';

/** Bytes of one read from disk. */
const READ_BYTES = 256 * 1024;

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

  async stamp(folder: string): Promise<string> {
    const entry = await unlessMissing(() => stat(join(this.#root, folder), { bigint: true }));
    return entry === undefined ? '' : `${entry.mtimeNs}`;
  }
}
