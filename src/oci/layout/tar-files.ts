import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { tooLarge } from '../content.js';
import type { LayoutFiles } from './folder-files.js';
import { indexTar, type TarEntry } from './tar-index.js';

/** The files in a tar archive. The archive must not change while it is open. */
export class TarFiles implements LayoutFiles {
  readonly #path: string;
  readonly #entries: ReadonlyMap<string, TarEntry>;

  private constructor(path: string, entries: ReadonlyMap<string, TarEntry>) {
    this.#path = path;
    this.#entries = entries;
  }

  /** @throws InputError `LAYOUT_INVALID` */
  static async open(path: string): Promise<TarFiles> {
    const file = await open(path);
    try {
      return new TarFiles(path, await indexTar(file, path));
    } finally {
      await file.close();
    }
  }

  async read(name: string, limitBytes: number): Promise<Uint8Array | undefined> {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    if (entry.size > limitBytes) throw tooLarge(`${name} in ${this.#path}`, limitBytes, entry.size);
    return new Uint8Array(await buffer(this.open(name, 0)));
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(this.#entries.get(name)?.size);
  }

  async *open(name: string, offset: number): AsyncGenerator<Uint8Array> {
    const entry = this.#entries.get(name);
    if (!entry || offset >= entry.size) return;
    const start = entry.offset + offset;
    // `end` is the position of the last byte.
    const body = createReadStream(this.#path, { start, end: entry.offset + entry.size - 1, highWaterMark: 256 * 1024 });
    yield* body as AsyncIterable<Uint8Array>;
  }

  list(folder: string): Promise<{ name: string; size: number }[]> {
    const prefix = `${folder}/`;
    const found: { name: string; size: number }[] = [];
    for (const [name, { size }] of this.#entries) {
      const rest = name.slice(prefix.length);
      if (name.startsWith(prefix) && !rest.includes('/')) found.push({ name: rest, size });
    }
    return Promise.resolve(found);
  }
}
