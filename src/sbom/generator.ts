import type { Descriptor, ImageManifest } from '../oci/index.js';

export interface SbomInput {
  /** `registry/repository` of the image: the root component's name. */
  name: string;
  /** The image manifest's descriptor; its digest is the root component's version and purl. */
  descriptor: Descriptor;
  manifest: ImageManifest;
  /** Opens config and layers; the bytes come verified. */
  openBlob(descriptor: Descriptor, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Whether a layer that need not be in the registry (`foreign`, `nondistributable`) is there: it is then read like any other. Without
   * this, such layers are not read, and named as gaps.
   */
  hasBlob?: (descriptor: Descriptor, signal: AbortSignal) => Promise<boolean>;
  /** Where it keeps what it has gathered, so that another call need not begin anew. By default nothing is kept. */
  kept?: {
    read(): Promise<Uint8Array | undefined>;
    write(bytes: Uint8Array): Promise<void>;
    /** After a layer, if so long has gone by, in milliseconds; 20 seconds by default. */
    everyMs?: number;
  };
  signal: AbortSignal;
  /** Compressed bytes read so far, of those to read. */
  onProgress?: (readBytes: number, totalBytes: number) => void;
}

export interface Sbom {
  /** `application/vnd.cyclonedx+json`: the referrer's artifact type and its layer's media type. */
  mediaType: string;
  /** The same image gives the same bytes. */
  bytes: Uint8Array;
  /** Name and version of what made it. */
  tool: string;
  /** RFC 3339; from the image's config where it has one, else the epoch. Pins the referrer's `created` annotation. */
  created: string;
  /** Components by package-url type: `{deb: 159, npm: 126}`. */
  counts: Record<string, number>;
  /** What was seen and could not be read (`no reader for rpm`); the document says the same as an incomplete composition. */
  gaps: string[];
}

/** Makes an SBOM of one platform's image. The one in this folder streams the layers; a configured program may stand here. */
export interface SbomGenerator {
  /**
   * The SBOM is of what a runtime unpacks: a layer that is not what the config lists in `rootfs.diff_ids` is an error.
   * @throws InputError `LAYER_INVALID`, `LAYER_UNSUPPORTED`, `IMAGE_CONFIG_MISMATCH`, `SBOM_LIMIT`; what the blobs throw
   */
  generate(input: SbomInput): Promise<Sbom>;
}
