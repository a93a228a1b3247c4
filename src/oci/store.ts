import type { Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';

export interface CallOptions {
  signal?: AbortSignal;
}

export interface ManifestOptions extends CallOptions {
  /** The media types that are asked for; by default all of manifests and indexes. A layout has what it has. */
  mediaTypes?: readonly string[];
}

export interface ReferrersOptions extends CallOptions {
  artifactType?: string;
  /**
   * False if the list of the tag schema is known to be empty. `later`: what the registry itself lists is enough for now. Default: true, both are
   * read.
   */
  tagSchema?: boolean | 'later';
  /**
   * False where a type that an entry lacks is not to be looked up in its manifest: such an entry is in the list whatever
   * `artifactType` says. Default: true.
   */
  artifactTypes?: boolean;
}

export interface FetchedManifest {
  descriptor: Descriptor;
  /** Verified: their digest and length are the descriptor's. */
  bytes: Uint8Array;
}

/** Opens a body anew each time it is called, so that an upload can be repeated. */
export type OpenBody = () => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;

/**
 * One repository that can be read: in a registry, or an OCI layout on disk. The copier and the verbs know nothing else.
 * Every method throws `RegistryError` (`notFound` where it isn't there), `TransportError` or `IntegrityError`.
 */
export interface ReadableRepository {
  /** For messages: `localhost:5100/samples/app`, or a path. */
  readonly name: string;
  /** A tag or digest as a descriptor (mediaType, digest, size), without fetching the body where the store can do so. */
  resolve(tagOrDigest: string, options?: ManifestOptions): Promise<Descriptor>;
  /** The manifest's bytes, verified. A descriptor's size and digest are held against what comes. */
  fetchManifest(target: string | Descriptor, options?: ManifestOptions): Promise<FetchedManifest>;
  /** The blob's bytes from `offset` on (0 by default). Verified when read from 0 to the end: a wrong digest or size throws at the end. */
  openBlob(descriptor: Descriptor, options?: CallOptions & { offset?: number }): Promise<AsyncIterable<Uint8Array>>;
  hasBlob(descriptor: Descriptor, options?: CallOptions): Promise<boolean>;
  /**
   * All manifests whose subject is `digest`, all pages; API and tag schema merged. Empty where there are none.
   * `tagSchema: false` leaves the schema's tag alone, where the repository's tags have shown that there is none for the digest.
   */
  listReferrers(digest: Digest, options?: ReferrersOptions): Promise<Descriptor[]>;
  /** Tags in the store's order, page by page as they are needed. */
  listTags(options?: CallOptions & { last?: string }): AsyncIterable<string>;
}

/**
 * An upload that is not at its end. JSON, to be kept and given back by whoever goes on with it, in this process or another. Its URL
 * may be all that it takes to write into this upload: it is kept where nobody reads, and never shown.
 */
export interface OpenUpload {
  url: string;
  receivedBytes: number;
  /** Bytes of a piece, as the registry wants them. */
  chunkBytes: number;
  /** How often it was begun anew because the registry had lost it. */
  restarts: number;
}

export interface StretchOptions extends CallOptions {
  /** Where the last stretch ended; by default from the beginning. */
  from?: OpenUpload;
  /** Asked after each piece; where it says true, the stretch ends there. */
  isEnough: (sentBytes: number) => boolean;
  /** Told after each piece, and waited for: whoever goes on from there sends nothing twice. */
  onReached?: (upload: OpenUpload) => Promise<void>;
}

export interface WritableRepository {
  readonly name: string;
  /** True where asking for a blob costs no request: a copy looks at every one, and takes nobody's word. Default: false. */
  readonly isLocal?: boolean;
  /** Puts a blob that isn't there; does nothing where it is. `onMovedBefore` is called if it is there because this work has put it. */
  pushBlob(
    descriptor: Descriptor,
    open: OpenBody,
    options?: CallOptions & { onBytes?: (count: number) => void; onMovedBefore?: () => void },
  ): Promise<void>;
  /**
   * Puts a part of a blob that isn't there, for one that takes longer than one process is given. `openAt` gives the bytes from an
   * offset on. @returns the upload that is to be gone on with; undefined where the blob is there. Absent where a blob is put as a
   * whole, as in a layout.
   */
  pushStretch?(
    descriptor: Descriptor,
    openAt: (offset: number) => Promise<AsyncIterable<Uint8Array>>,
    options: StretchOptions,
  ): Promise<OpenUpload | undefined>;
  /** Takes the blob over from another repository of the same registry without moving it; false where that can't be done. */
  mountBlob(descriptor: Descriptor, fromRepository: string, options?: CallOptions): Promise<boolean>;
  /**
   * Puts a manifest under its digest, or under `tag` too. Where it has a subject and the store keeps referrers by the tag
   * schema, the subject's index is updated as well. `digest` (what the bytes have, sha256 by default) chooses the algorithm.
   * `onPut` is called when the manifest itself is there: what comes after it are few requests for many manifests. A layout's
   * index keeps what `described` says of it (platform, annotations, artifact type), as oras does; a registry has no use for it.
   */
  pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options?: CallOptions & { tag?: string; digest?: Digest; onPut?: () => void; described?: Descriptor },
  ): Promise<Descriptor>;
  deleteManifest(digest: Digest, options?: CallOptions): Promise<void>;
}

export type Repository = ReadableRepository & WritableRepository;

/** Finds repositories by the registry's host and the repository's name. */
export interface Registries {
  repository(registry: string, repository: string): Repository;
}
