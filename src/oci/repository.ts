import type { Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';

/** Options of every request. An abort rejects with the signal's reason. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** Options for reading a manifest. */
export interface ManifestOptions extends CallOptions {
  /** Accepted media types; by default all manifests and indexes. A layout ignores this. */
  mediaTypes?: readonly string[];
}

/** Options for listing referrers. */
export interface ReferrersOptions extends CallOptions {
  artifactType?: string;
  /**
   * Whether the referrers tag is read in addition to the referrers API. False if the tag is known not to exist. `later`
   * reads only the API's list for now. Default: true.
   */
  tagSchema?: boolean | 'later';
  /**
   * Whether an artifact type that the list omits is looked up in the manifest. False returns such entries whatever
   * `artifactType` says. Default: true.
   */
  artifactTypes?: boolean;
}

/** A manifest and its descriptor. */
export interface FetchedManifest {
  descriptor: Descriptor;
  /** Verified: digest and length match the descriptor. */
  bytes: Uint8Array;
}

/** Options of {@link ReadableRepository.openBlob}. */
export interface BlobOptions extends CallOptions {
  /** Byte of the blob at which to start. Default: 0. */
  offset?: number;
  /**
   * True if the caller does not use a chunk after it has asked for the next one. Its memory is then freed at once, and
   * not when V8 collects garbage. Default: false.
   */
  freesChunks?: boolean;
}

/** Opens the body from its start each time it is called, so that an upload can be repeated. */
export type OpenBody = () => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;

/**
 * A repository that can be read, in a registry or in an OCI layout on disk. The copier and the verbs use only this
 * interface. Every method throws `RegistryError` (`notFound` if the content does not exist), `TransportError` or
 * `IntegrityError`.
 */
export interface ReadableRepository {
  /** The name in messages: `localhost:5100/samples/app`, or a path. */
  readonly name: string;
  /**
   * Resolves a tag or digest to a descriptor (mediaType, digest, size), without fetching the body if the store can do
   * that.
   */
  resolve(tagOrDigest: string, options?: ManifestOptions): Promise<Descriptor>;
  /** Fetches a manifest and verifies it. If `target` is a descriptor, its size and digest must match. */
  fetchManifest(target: string | Descriptor, options?: ManifestOptions): Promise<FetchedManifest>;
  /**
   * Opens a blob at `offset` (default 0). A blob that is read from 0 to its end is verified: a wrong digest or size
   * throws at the end.
   */
  openBlob(descriptor: Descriptor, options?: BlobOptions): Promise<AsyncIterable<Uint8Array>>;
  hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean>;
  /**
   * Lists all manifests whose subject is `digest`: all pages, from the referrers API and the referrers tag. Empty if
   * there are none.
   */
  listReferrers(digest: Digest, options?: ReferrersOptions): Promise<Descriptor[]>;
  /**
   * Lists tags in the store's order. Pages are read as they are needed.
   * @param options.last only tags after this one
   */
  listTags(options?: CallOptions & { last?: string }): AsyncIterable<string>;
}

/**
 * An unfinished upload, as JSON. It can be stored and continued by this process or another one. Its URL may be enough
 * to write into the upload, so it must be stored privately and never shown.
 */
export interface OpenUpload {
  url: string;
  receivedBytes: number;
  /** Size of a chunk in bytes, as the registry requires. */
  chunkBytes: number;
  /** How often the upload was restarted because the registry had lost it. */
  restarts: number;
}

/** Options for uploading a part of a blob. */
export interface PartOptions extends CallOptions {
  /** The upload to continue. By default a new one is started. */
  from?: OpenUpload;
  /** Called after each chunk. Return true to stop here. */
  isEnough: (sentBytes: number) => boolean;
  /** Called after each chunk and awaited, so that the upload's state can be stored before the next chunk. */
  onReached?: (upload: OpenUpload) => Promise<void>;
}

/** A repository that can be written. */
export interface WritableRepository {
  readonly name: string;
  /** True if `hasBlob` costs no request. A copy then checks every blob. Default: false. */
  readonly isLocal?: boolean;
  /**
   * Uploads a blob, unless it exists.
   * @param options.onMovedBefore called if the blob exists because this copy uploaded it earlier
   */
  pushBlob(
    descriptor: Descriptor,
    open: OpenBody,
    options?: CallOptions & { onBytes?: (count: number) => void; onMovedBefore?: () => void },
  ): Promise<void>;
  /**
   * Uploads a part of a blob, for a blob that takes longer than one process may run. Absent if the store writes blobs
   * as a whole, as a layout does.
   * @param openAt opens the blob at an offset
   * @returns the upload to continue, or undefined if the blob exists
   */
  pushPart?(
    descriptor: Descriptor,
    openAt: (offset: number) => Promise<AsyncIterable<Uint8Array>>,
    options: PartOptions,
  ): Promise<OpenUpload | undefined>;
  /** Mounts the blob from another repository of the same registry. False if that is not possible. */
  mountBlob(descriptor: Descriptor, fromRepository: string, options?: CallOptions): Promise<boolean>;
  /**
   * Puts a manifest under its digest, or under `tag`. If the manifest has a subject and the registry has no referrers
   * API, the referrers tag is updated as well.
   * @param options.digest selects the digest algorithm; sha256 by default
   * @param options.onPut called when the manifest itself is stored, before the referrers tag is updated
   * @param options.described annotations, platform and artifact type for a layout's index, as oras writes them; a
   *   registry ignores it
   */
  pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options?: CallOptions & { tag?: string; digest?: Digest; onPut?: () => void; described?: Descriptor },
  ): Promise<Descriptor>;
  deleteManifest(digest: Digest, options?: CallOptions): Promise<void>;
}

/** A repository that can be read and written. */
export type Repository = ReadableRepository & WritableRepository;

/** Opens repositories by registry host and repository name. */
export interface Registries {
  repository(registry: string, repository: string): Repository;
}

/** A repository, in a registry or a layout, whose blobs can also be looked up by digest and deleted. */
export interface BlobRepository extends Repository {
  /**
   * The descriptor of a blob. Its media type is always `application/octet-stream`, because stores do not keep one.
   * @throws RegistryError `BLOB_UNKNOWN`, with `notFound`
   */
  resolveBlob(digest: Digest, options?: CallOptions): Promise<Descriptor>;
  /** @throws RegistryError `BLOB_UNKNOWN`, with `notFound` */
  deleteBlob(descriptor: Descriptor, options?: CallOptions): Promise<void>;
}

/** Media type of a blob of which only the bytes are known. */
export const OCTET_STREAM = 'application/octet-stream';
