import { createReadStream, existsSync, mkdirSync, unlinkSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../../../src/oci/index.js';

/** Blobs by digest, once on disk however many repositories have them. */
export class BlobStore {
  readonly #database: DatabaseSync;
  readonly #folder: string;
  readonly #bytesPerSecond: number | undefined;
  /** Digests that are being put: their files must not be swept away by a delete in another repository. */
  readonly #arriving = new Map<string, number>();

  /** @param bytesPerSecond of each reading; as fast as it goes where it is left out */
  constructor(database: DatabaseSync, folder: string, bytesPerSecond?: number) {
    this.#database = database;
    this.#folder = folder;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** The blob's size where the repository has it. */
  sizeOf(repository: string, digest: Digest): number | undefined {
    const row = this.#database
      .prepare('SELECT size FROM blobs WHERE repository = ? AND digest = ?')
      .get(repository, digest);
    return row === undefined ? undefined : Number(row.size);
  }

  /** Repositories that have the blob, in their order. */
  repositoriesWith(digest: Digest): string[] {
    const rows = this.#database
      .prepare('SELECT repository FROM blobs WHERE digest = ? ORDER BY repository LIMIT 1000')
      .all(digest);
    return rows.map((row) => String(row.repository));
  }

  /** Bytes from `start` to `end`, both included. */
  read(digest: Digest, start: number, end: number): Readable {
    const file = createReadStream(this.#path(digest), { start, end, highWaterMark: 256 * 1024 });
    return this.#bytesPerSecond === undefined ? file : Readable.from(paced(file, this.#bytesPerSecond));
  }

  /** Takes over a file whose digest was checked. It is on the disk, and in the repository, when this resolves. */
  async adopt(repository: string, digest: Digest, file: string, size: number): Promise<void> {
    const path = this.#path(digest);
    this.#arriving.set(digest, (this.#arriving.get(digest) ?? 0) + 1);
    try {
      if (existsSync(path)) {
        await rm(file, { force: true });
      } else {
        await syncFile(file);
        mkdirSync(dirname(path), { recursive: true });
        await rename(file, path);
        await syncFile(dirname(path));
      }
      this.link(repository, digest, size);
    } finally {
      const others = (this.#arriving.get(digest) ?? 1) - 1;
      if (others > 0) this.#arriving.set(digest, others);
      else this.#arriving.delete(digest);
    }
  }

  /** Gives a repository a blob that is there already. */
  link(repository: string, digest: Digest, size: number): void {
    this.#database
      .prepare('INSERT INTO blobs (repository, digest, size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
      .run(repository, digest, size);
  }

  /** @returns false where the repository doesn't have it */
  remove(repository: string, digest: Digest): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM blobs WHERE repository = ? AND digest = ?')
      .run(repository, digest);
    if (changes === 0) return false;
    const left = this.#database.prepare('SELECT 1 FROM blobs WHERE digest = ? LIMIT 1').get(digest);
    // In the same turn of the event loop as the question, so that nobody comes in between.
    if (left === undefined && !this.#arriving.has(digest)) unlinkSync(this.#path(digest));
    return true;
  }

  /** Takes all blobs from a repository. */
  removeAll(repository: string): void {
    const rows = this.#database.prepare('SELECT digest FROM blobs WHERE repository = ?').all(repository);
    for (const { digest } of rows) this.remove(repository, digest as Digest);
  }

  #path(digest: Digest): string {
    const [algorithm = '', hex = ''] = digest.split(':');
    return join(this.#folder, 'blobs', algorithm, hex.slice(0, 2), hex);
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* paced(chunks: AsyncIterable<Buffer>, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const since = performance.now();
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    await sleep(Math.max(0, since + (bytes / bytesPerSecond) * 1000 - performance.now()));
    yield chunk;
  }
}
