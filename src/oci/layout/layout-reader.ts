import {
  type BlobOptions,
  type CallOptions,
  type FetchedManifest,
  OCTET_STREAM,
  type ReadableRepository,
} from '../repository.js';
import type { Descriptor } from '../descriptor.js';
import { checkBytes, verified } from '../content.js';
import { digestAlgorithm, digestOf, isDigest, type Digest } from '../digest.js';
import { InputError, IntegrityError, RegistryError } from '../errors.js';
import { asReferrer, isManifestMediaType, parseManifest, type Manifest, MANIFEST_BYTES } from '../manifest.js';
import type { LayoutFiles } from './folder-files.js';
import { readIndex, tagOf } from './index-file.js';

/** The file of a blob, relative to the layout: `blobs/sha256/<hex>`. */
export function blobFile(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}

interface Known {
  descriptor: Descriptor;
  manifest: Manifest;
}

/** Reads an OCI image layout as a repository. Tags come from index.json, referrers from all manifests in it. */
export class LayoutReader implements ReadableRepository {
  readonly isLocal = true;
  readonly name: string;
  readonly files: LayoutFiles;
  /** Parsed manifests by digest; undefined for a blob that is not a manifest. A digest's content never changes. */
  readonly #looked = new Map<Digest, Known | undefined>();
  /** All manifests, as they were when they were first needed. */
  #scanned: Promise<Known[]> | undefined;

  constructor(path: string, files: LayoutFiles) {
    this.name = path;
    this.files = files;
  }

  /** Must be called after each write. */
  protected changed(digest?: Digest): void {
    this.#scanned = undefined;
    // The previous file may have been incomplete.
    if (digest !== undefined) this.#looked.delete(digest);
  }

  protected notFound(what: string, code: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN', method = 'GET'): RegistryError {
    const where = `${this.name}${isDigest(what) ? '@' : ':'}${what}`;
    return new RegistryError(`${where} not found in the layout`, {
      method,
      url: where,
      status: 404,
      registryCodes: [code],
    });
  }

  async resolve(tagOrDigest: string, options: CallOptions = {}): Promise<Descriptor> {
    options.signal?.throwIfAborted();
    const entries = await readIndex(this.files, this.name);
    const byTag = entries.findLast((entry) => tagOf(entry) === tagOrDigest);
    const digest = byTag?.digest ?? tagOrDigest;
    if (!isDigest(digest)) throw this.notFound(tagOrDigest, 'MANIFEST_UNKNOWN');
    const size = await this.files.size(blobFile(digest));
    if (size === undefined) throw this.notFound(digest, 'MANIFEST_UNKNOWN');
    const entry = entries.find((candidate) => candidate.digest === digest);
    // With the annotations from the index, which oras shows.
    if (byTag) return byTag;
    if (entry) return { mediaType: entry.mediaType, digest, size: entry.size };
    const known = size <= MANIFEST_BYTES ? await this.#look(digest) : undefined;
    if (!known) throw this.notFound(digest, 'MANIFEST_UNKNOWN');
    return known.descriptor;
  }

  async fetchManifest(target: string | Descriptor, options: CallOptions = {}): Promise<FetchedManifest> {
    const descriptor = typeof target === 'string' ? await this.resolve(target, options) : target;
    const { digest, size, mediaType } = descriptor;
    options.signal?.throwIfAborted();
    const bytes = await this.files.read(blobFile(digest), MANIFEST_BYTES);
    if (!bytes) throw this.notFound(digest, 'MANIFEST_UNKNOWN');
    checkBytes(bytes, descriptor, `${this.name}@${digest}`);
    return { descriptor: { mediaType, digest, size }, bytes };
  }

  async openBlob(descriptor: Descriptor, options: BlobOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const { offset = 0, signal } = options;
    signal?.throwIfAborted();
    const file = blobFile(descriptor.digest);
    if ((await this.files.size(file)) === undefined) throw this.notFound(descriptor.digest, 'BLOB_UNKNOWN');
    const body = this.files.open(file, offset);
    return offset === 0 ? verified(body, descriptor, `${this.name}@${descriptor.digest}`) : body;
  }

  async resolveBlob(digest: Digest, options: CallOptions = {}): Promise<Descriptor> {
    options.signal?.throwIfAborted();
    const size = await this.files.size(blobFile(digest));
    if (size === undefined) throw this.notFound(digest, 'BLOB_UNKNOWN', 'HEAD');
    return { mediaType: OCTET_STREAM, digest, size };
  }

  /** Compares name and size only. Wrong bytes of the right size are detected when they are read. */
  async hasBlob(descriptor: Descriptor, options: CallOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    return (await this.files.size(blobFile(descriptor.digest))) === descriptor.size;
  }

  async listReferrers(digest: Digest, options: CallOptions & { artifactType?: string } = {}): Promise<Descriptor[]> {
    options.signal?.throwIfAborted();
    const found: Descriptor[] = [];
    for (const { descriptor, manifest } of await this.manifests()) {
      if (manifest.subject?.digest !== digest) continue;
      const entry = asReferrer(descriptor, manifest);
      if (options.artifactType === undefined || options.artifactType === entry.artifactType) found.push(entry);
    }
    return found;
  }

  async *listTags(options: CallOptions & { last?: string } = {}): AsyncGenerator<string> {
    const entries = await readIndex(this.files, this.name);
    const tags = new Set(entries.flatMap((entry) => tagOf(entry) ?? []));
    for (const tag of [...tags].sort()) {
      options.signal?.throwIfAborted();
      if (options.last === undefined || tag > options.last) yield tag;
    }
  }

  /** All manifests: those in the index, in order, then those that exist only as blobs. */
  protected manifests(): Promise<Known[]> {
    this.#scanned ??= this.#scan();
    return this.#scanned;
  }

  async #scan(): Promise<Known[]> {
    const indexed = (await readIndex(this.files, this.name)).map((entry) => entry.digest);
    const lying: Digest[] = [];
    for (const algorithm of ['sha256', 'sha512'] as const) {
      for (const { name, size } of await this.files.list(`blobs/${algorithm}`)) {
        const digest = `${algorithm}:${name}`;
        if (isDigest(digest) && size <= MANIFEST_BYTES) lying.push(digest);
      }
    }
    const known: Known[] = [];
    for (const digest of new Set([...indexed, ...lying.sort()])) {
      const found = await this.#look(digest);
      if (found) known.push(found);
    }
    return known;
  }

  /** Parses a blob if it is a manifest, because it says so or the index does. */
  async #look(digest: Digest): Promise<Known | undefined> {
    if (this.#looked.has(digest)) return this.#looked.get(digest);
    const bytes = await this.files.read(blobFile(digest), MANIFEST_BYTES).catch((error: unknown) => {
      if (error instanceof IntegrityError) return undefined;
      throw error;
    });
    if (!bytes) return undefined;
    const known = this.#recognise(digest, bytes);
    this.#looked.set(digest, known);
    return known;
  }

  #recognise(digest: Digest, bytes: Uint8Array): Known | undefined {
    // Configs and other JSON documents also start with a brace, so the content is parsed.
    if (bytes[0] !== 0x7b) return undefined;
    try {
      const manifest = parseManifest(bytes, '', `${this.name}@${digest}`);
      if (!isManifestMediaType(manifest.mediaType)) return undefined;
      if (digestOf(bytes, digestAlgorithm(digest)) !== digest) return undefined;
      return { descriptor: { mediaType: manifest.mediaType, digest, size: bytes.length }, manifest };
    } catch (error) {
      if (error instanceof InputError) return undefined;
      throw error;
    }
  }
}
