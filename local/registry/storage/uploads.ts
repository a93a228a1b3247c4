import { createHash, randomUUID, type Hash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestAlgorithm, type Digest, type DigestAlgorithm } from '../../../src/oci/index.js';
import { refuse } from '../refusal.js';
import type { BlobStore } from './blobs.js';

/** Upload sessions unused for this long are removed at start. */
const UPLOAD_AGE_MS = 7 * 24 * 3600_000;

/** One open upload. Its bytes are in `file`, so that it survives a restart. */
export interface Upload {
  readonly id: string;
  readonly repository: string;
  readonly file: string;
  size: number;
  /** Counts the answers, for clients that must use the newest Location. */
  turns: number;
  /** The hash of the first `size` bytes. It is lost with the process and then computed again from the file. */
  hash?: { algorithm: DigestAlgorithm; state: Hash };
  /** The next request on this upload waits for this. */
  busy: Promise<unknown>;
}

export class UploadStore {
  readonly #folder: string;
  readonly #blobs: BlobStore;
  readonly #open = new Map<string, Upload>();

  constructor(folder: string, blobs: BlobStore) {
    this.#folder = join(folder, 'uploads');
    this.#blobs = blobs;
    mkdirSync(this.#folder, { recursive: true });
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      if (Date.now() - statSync(path).mtimeMs > UPLOAD_AGE_MS) unlinkSync(path);
    }
  }

  async begin(repository: string): Promise<Upload> {
    const id = randomUUID();
    const file = this.#path(repository, id);
    await writeFile(file, '', { flag: 'wx', mode: 0o600 });
    const upload: Upload = { id, repository, file, size: 0, turns: 0, busy: Promise.resolve() };
    this.#open.set(id, upload);
    return upload;
  }

  /** @throws Refusal 404 `BLOB_UPLOAD_UNKNOWN`, also for an upload of another repository */
  find(repository: string, id: string): Upload {
    const file = this.#path(repository, id);
    if (!/^[0-9a-f-]{36}$/.test(id) || !existsSync(file)) throw refuse.uploadUnknown();
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const upload: Upload = { id, repository, file, size: statSync(file).size, turns: 0, busy: Promise.resolve() };
    this.#open.set(id, upload);
    return upload;
  }

  /** Runs `work` after all earlier requests on this upload. */
  async inTurn<T>(upload: Upload, work: () => Promise<T>): Promise<T> {
    const mine = upload.busy.then(work);
    upload.busy = mine.catch(() => undefined);
    return await mine;
  }

  /**
   * Appends bytes. If the body breaks off or does not have `expectedBytes`, none of them stay.
   * @throws Refusal 400 `SIZE_INVALID`
   */
  async append(
    upload: Upload,
    source: AsyncIterable<Buffer>,
    algorithm: DigestAlgorithm,
    expectedBytes?: number,
  ): Promise<void> {
    const start = upload.size;
    if (start === 0) upload.hash = { algorithm, state: createHash(algorithm) };
    const running = upload.hash;
    const hash = running?.state.copy();
    const handle = await open(upload.file, 'r+');
    try {
      let position = start;
      for await (const chunk of source) {
        hash?.update(chunk);
        await writeAll(handle, chunk, position);
        position += chunk.length;
      }
      if (expectedBytes !== undefined && position - start !== expectedBytes) {
        throw refuse.uploadInvalid(`${position - start} bytes were sent but the range has ${expectedBytes}`);
      }
      upload.size = position;
      if (running !== undefined && hash !== undefined) upload.hash = { algorithm: running.algorithm, state: hash };
    } catch (error) {
      await handle.truncate(start);
      throw error;
    } finally {
      await handle.close();
    }
  }

  /**
   * Checks the digest and turns the upload into a blob. A wrong digest ends the upload.
   * @throws Refusal 400 `DIGEST_INVALID`
   */
  async finish(upload: Upload, digest: Digest): Promise<void> {
    const algorithm = digestAlgorithm(digest);
    const state =
      upload.hash?.algorithm === algorithm ? upload.hash.state.copy() : await hashFile(upload.file, algorithm);
    const found = `${algorithm}:${state.digest('hex')}`;
    this.#open.delete(upload.id);
    if (found !== digest) {
      await rm(upload.file, { force: true });
      throw refuse.digestInvalid('provided digest did not match uploaded content', { digest, found });
    }
    await this.#blobs.adopt(upload.repository, digest, upload.file, upload.size);
  }

  async cancel(upload: Upload): Promise<void> {
    this.#open.delete(upload.id);
    await rm(upload.file, { force: true });
  }

  /**
   * The file's name contains a hash of the repository, so that an upload belongs to one repository even after a
   * restart.
   */
  #path(repository: string, id: string): string {
    return join(this.#folder, `${id}.${createHash('sha256').update(repository).digest('hex').slice(0, 16)}`);
  }
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function hashFile(path: string, algorithm: DigestAlgorithm): Promise<Hash> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
  }
  return hash;
}
