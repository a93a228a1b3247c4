import { randomUUID } from 'node:crypto';
import { chmod, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BlobRepository, CallOptions, OpenBody } from '../repository.js';
import type { Descriptor } from '../descriptor.js';
import { verified } from '../content.js';
import { digestAlgorithm, digestOf, type Digest } from '../digest.js';
import { makeFolder } from '../make-folder.js';
import { parseManifest } from '../manifest.js';
import { FolderFiles, writing } from './folder-files.js';
import { encodeIndex, INDEX_FILE, readIndex, tagOf, withManifest } from './index-file.js';
import { blobFile, LayoutReader } from './layout-reader.js';
import { unneededWithout } from './unneeded.js';

/** Folder for incomplete files, as in oras. */
const INGEST = 'ingest';

/** A writable OCI image layout folder. Only one process may write to it at a time. */
export class LayoutFolder extends LayoutReader implements BlobRepository {
  readonly #root: string;
  /** Aborted when another process may write. */
  readonly #mayWrite: AbortSignal | undefined;
  /** Serializes changes of index.json. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(path: string, mayWrite?: AbortSignal) {
    super(path, new FolderFiles(path));
    this.#root = path;
    this.#mayWrite = mayWrite;
  }

  async pushBlob(
    descriptor: Descriptor,
    openBody: OpenBody,
    options: CallOptions & { onBytes?: (count: number) => void } = {},
  ): Promise<void> {
    if (await this.hasBlob(descriptor, options)) return;
    const where = `${this.name}@${descriptor.digest}`;
    await this.#ingest(descriptor.digest, async (path) => {
      const file = await open(path, 'wx');
      try {
        for await (const chunk of verified(await openBody(), descriptor, where)) {
          options.signal?.throwIfAborted();
          await file.writeFile(chunk);
          options.onBytes?.(chunk.length);
        }
      } finally {
        await file.close();
      }
    });
  }

  /** A layout shares no blobs with another. */
  mountBlob(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options: CallOptions & { tag?: string; digest?: Digest; described?: Descriptor } = {},
  ): Promise<Descriptor> {
    options.signal?.throwIfAborted();
    const digest = digestOf(bytes, options.digest && digestAlgorithm(options.digest));
    parseManifest(bytes, mediaType, `${this.name}@${digest}`);
    const descriptor = { mediaType, digest, size: bytes.length };
    if ((await this.files.size(blobFile(digest))) !== bytes.length) {
      await this.#ingest(digest, (path) => writeFile(path, bytes, { flag: 'wx' }));
    }
    const entry = { ...options.described, ...descriptor };
    await this.#changeIndex((entries) => withManifest(entries, entry, options.tag));
    return descriptor;
  }

  /**
   * Deletes a manifest, everything that refers to it, and all content that is then unused. If index.json names content
   * that cannot be read as a manifest, its needs are unknown, so only the manifest and its referrers are deleted.
   */
  async deleteManifest(digest: Digest, options: CallOptions = {}): Promise<void> {
    await this.#checkThere(digest, 'MANIFEST_UNKNOWN', options);
    const [entries, known] = await Promise.all([readIndex(this.files, this.name), this.manifests()]);
    const manifests = new Map(known.map(({ descriptor, manifest }) => [descriptor.digest, manifest]));
    const unread = entries.map((entry) => entry.digest).filter((each) => each !== digest && !manifests.has(each));
    const sizes = await Promise.all(unread.map((each) => this.files.size(blobFile(each))));
    const isAllRead = sizes.every((size) => size === undefined);
    const tagged = new Set(entries.flatMap((entry) => (tagOf(entry) === undefined ? [] : entry.digest)));
    await this.#delete(unneededWithout(digest, manifests, (each) => !isAllRead || tagged.has(each)));
  }

  async deleteBlob({ digest }: Descriptor, options: CallOptions = {}): Promise<void> {
    await this.#checkThere(digest, 'BLOB_UNKNOWN', options);
    await this.#delete([digest]);
  }

  async #checkThere(digest: Digest, code: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN', options: CallOptions): Promise<void> {
    options.signal?.throwIfAborted();
    if ((await this.files.size(blobFile(digest))) === undefined) throw this.notFound(digest, code, 'DELETE');
  }

  /**
   * Deletes blobs; on disk, a manifest is a blob as well. Entries of the index go first: an interrupted deletion leaves
   * unused files, but never an entry without its file.
   */
  async #delete(digests: readonly Digest[]): Promise<void> {
    const going = new Set(digests);
    await this.#changeIndex((entries) => entries.filter((entry) => !going.has(entry.digest)));
    for (const digest of digests) {
      this.#mayWrite?.throwIfAborted();
      await rm(join(this.#root, blobFile(digest)), { force: true });
      this.changed(digest);
    }
  }

  /** Writes a blob to a temporary file and renames it when it is complete. An existing file is replaced. */
  async #ingest(digest: Digest, write: (path: string) => Promise<void>): Promise<void> {
    const folder = join(this.#root, INGEST);
    const growing = join(folder, randomUUID());
    const final = join(this.#root, blobFile(digest));
    this.#mayWrite?.throwIfAborted();
    await writing(this.#root, async () => {
      await makeFolder(dirname(final));
      await makeFolder(folder);
      try {
        await write(growing);
        // A blob never changes, so its file is read-only, as in oras.
        await chmod(growing, 0o444);
        await rename(growing, final);
      } finally {
        await rm(growing, { force: true });
      }
    });
    this.changed(digest);
  }

  #changeIndex(change: (entries: Descriptor[]) => Descriptor[]): Promise<void> {
    const turn = this.#lastChange.then(async () => {
      this.#mayWrite?.throwIfAborted();
      const entries = await readIndex(this.files, this.name);
      const growing = join(this.#root, `.${INDEX_FILE}.${randomUUID()}`);
      await writing(this.#root, async () => {
        await writeFile(growing, encodeIndex(change(entries)));
        await rename(growing, join(this.#root, INDEX_FILE));
      });
      this.changed();
    });
    this.#lastChange = turn.catch(() => undefined);
    return turn;
  }
}
