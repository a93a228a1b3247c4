import type { Descriptor, ImageManifest } from '../oci/index.js';
import type { GapCount } from './gaps.js';
import type { SbomFormat } from './tool.js';

/** The image of which an SBOM is made. */
export interface SbomInput {
  /** `registry/repository` of the image. It becomes the name of the root component. */
  name: string;
  /**
   * Descriptor of the image manifest. Its digest becomes the version of the root component and part of its package URL.
   */
  descriptor: Descriptor;
  manifest: ImageManifest;
  /** The formats to make, each once. Default: `cyclonedx`. The layers are read once. */
  formats?: readonly SbomFormat[];
  /** Opens the config or a layer. The bytes are verified. */
  openBlob(descriptor: Descriptor, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Whether a layer that may be missing in the registry (`foreign`, `nondistributable`) exists there. If so, it is read
   * like any other. Without this function, such layers are not read and are named as gaps.
   */
  hasBlob?: (descriptor: Descriptor, signal: AbortSignal) => Promise<boolean>;
  /**
   * Storage for what each layer contributes, so that a later call, also for another image, does not read the layer
   * again. The result is the same. Keys are short and safe as file names. An error ends the call. Default: nothing is
   * stored.
   */
  layers?: {
    read(key: string): Promise<Uint8Array | undefined>;
    write(key: string, bytes: Uint8Array): Promise<void>;
  };
  /** Layers that are fetched and read at the same time. Default: the limit `layersAtOnce`. */
  layersAtOnce?: number;
  /** If it is aborted by a time limit while a layer is read, the error is `LAYER_TOO_SLOW`. */
  signal: AbortSignal;
  /** Called with the compressed bytes read so far and their total. */
  onProgress?: (readBytes: number, totalBytes: number) => void;
}

/** An SBOM and the annotations of its referrer. */
export interface Sbom {
  format: SbomFormat;
  /** `application/vnd.cyclonedx+json`: the referrer's artifact type and the media type of its layer. */
  mediaType: string;
  /** Title of the layer that has the document, such as `sbom.cdx.json`. */
  fileName: string;
  /** The same image and tool version give the same bytes. */
  bytes: Uint8Array;
  /** Name and version of the tool: `acr-promoter/0.1.0`. */
  tool: string;
  /**
   * RFC 3339. The image's creation time from its config, or 1970-01-01 if the config has none. Used for the referrer's
   * `created` annotation.
   */
  created: string;
  /** Number of components by type of package URL: `{deb: 159, npm: 126}`. */
  counts: Record<string, number>;
  /** Content that was seen but could not be read, by cause. If there is any, the document says `incomplete`. */
  gaps: GapCount[];
}

/** Makes SBOMs of the image for one platform. The implementation in this folder streams the layers. */
export interface SbomGenerator {
  /**
   * Makes an SBOM of what a container runtime unpacks, in each of the formats. It is an error if a layer does not match `rootfs.diff_ids` in
   * the config.
   * @throws InputError `LAYER_INVALID`, `LAYER_UNSUPPORTED`, `IMAGE_CONFIG_MISMATCH`, `SBOM_LIMIT`;
   * PromoterError `LAYER_TOO_SLOW` (transient)
   * @throws any error of `openBlob`
   */
  generate(input: SbomInput): Promise<Sbom[]>;
}
