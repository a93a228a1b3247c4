import { createReadStream, existsSync, mkdirSync, unlinkSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../../../src/oci/index.js';

/** Blobs by digest. Each is on disk once, however many repositories have it. */
export class BlobStore {
  readonly #database: DatabaseSync;
  readonly #folder: string;
  readonly #bytesPerSecond: number | undefined;
  /** Digests that are being stored. A delete in another repository must not remove their files. */
  readonly #arriving = new Map<string, number>();

  /** @param bytesPerSecond rate of each reader; default: unlimited */
  constructor(database: DatabaseSync, folder: string, bytesPerSecond?: number) {
    this.#database = database;
    this.#folder = folder;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** The blob's size, if the repository has it. */
  sizeOf(repository: string, digest: Digest): number | undefined {
    const row = this.#database
      .prepare('SELECT size FROM blobs WHERE repository = ? AND digest = ?')
      .get(repository, digest);
    return row === undefined ? undefined : Number(row.size);
  }

  /** The repositories that have the blob, sorted. */
  repositoriesWith(digest: Digest): string[] {
    const rows = this.#database
      .prepare('SELECT repository FROM blobs WHERE digest = ? ORDER BY repository LIMIT 1000')
      .all(digest);
    return rows.map((row) => String(row.repository));
  }

  /** The bytes from `start` to `end`, both included. */
  read(digest: Digest, start: number, end: number): Readable {
    const file = createReadStream(this.#path(digest), { start, end, highWaterMark: 256 * 1024 });
    return this.#bytesPerSecond === undefined ? file : Readable.from(paced(file, this.#bytesPerSecond));
  }

  /** Takes over a file whose digest was checked. When this resolves, it is on disk and in the repository. */
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

  /** Gives a repository a blob that already exists. */
  link(repository: string, digest: Digest, size: number): void {
    this.#database
      .prepare('INSERT INTO blobs (repository, digest, size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
      .run(repository, digest, size);
  }

  /** @returns false if the repository does not have it */
  remove(repository: string, digest: Digest): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM blobs WHERE repository = ? AND digest = ?')
      .run(repository, digest);
    if (changes === 0) return false;
    const left = this.#database.prepare('SELECT 1 FROM blobs WHERE digest = ? LIMIT 1').get(digest);
    // Synchronous with the check, so that no other request can come in between.
    if (left === undefined && !this.#arriving.has(digest)) unlinkSync(this.#path(digest));
    return true;
  }

  /** Removes all blobs from a repository. */
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
