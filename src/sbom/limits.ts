import { parseObject } from '../oci/index.js';

/**
 * Limits on what is read and kept for an image. Whatever exceeds a limit is refused (`SBOM_LIMIT`, which names the
 * limit) or reported as a gap; nothing is cut off silently. The limits exceed the largest images in use, and keep the
 * memory for one image below that of an instance with 2 GiB.
 */
export const SBOM_LIMITS = {
  /** Layers of one image. Runtimes mount at most 500, Docker 127. `SBOM_LIMIT` */
  layers: 1000,
  /** Unpacked bytes of all layers. Images with large models have tens of gigabytes. `SBOM_LIMIT` */
  unpackedBytes: 100 * 1024 ** 3,
  /** Unpacked bytes of all layers to which `unpackedRatio` does not apply, for files of zeros. `SBOM_LIMIT` */
  freeUnpackedBytes: 2 * 1024 ** 3,
  /**
   * Unpacked bytes for each packed byte, beyond `freeUnpackedBytes`. Layers with programs have a ratio of 2 to 5; gzip
   * can reach 1,030. `SBOM_LIMIT`
   */
  unpackedRatio: 100,
  /** Window of a zstd layer, as with `zstd --ultra -22`. `SBOM_LIMIT` */
  zstdWindowBytes: 128 * 1024 ** 2,
  /** Frames of all zstd layers. Layers for lazy pulling have one or two for each file. `SBOM_LIMIT` */
  zstdFrames: 1_000_000,
  /** Headers of all layers: archive entries and the extended headers before them. `SBOM_LIMIT` */
  entries: 4_000_000,
  /** Characters of one path or link target, as Linux's PATH_MAX. `SBOM_LIMIT` */
  pathBytes: 4096,
  /** Bytes of an extended header (long name, pax records), as in Go's archive/tar. `SBOM_LIMIT` */
  headerBytes: 1024 * 1024,
  /** Approximate memory for the names of all files: about two million. `SBOM_LIMIT` */
  rememberedBytes: 256 * 1024 ** 2,
  /** Paths behind symbolic links that are compared with what catalogers look for. More are reported as a gap. */
  linkedPaths: 1_000_000,
  /** Bytes of package databases and manifests that are read. `SBOM_LIMIT` */
  readBytes: 512 * 1024 ** 2,
  /** Packages; one that is found in several places counts several times. `SBOM_LIMIT` */
  packages: 100_000,
  /** Approximate characters of all packages, with the files that belong to them. `SBOM_LIMIT` */
  packageChars: 96 * 1024 ** 2,
  /** Licenses of one package, from all its places. More are reported as a gap. */
  licensesPerPackage: 100,
  /** Bytes of the SBOM. `SBOM_LIMIT` */
  documentBytes: 64 * 1024 ** 2,
  /** Bytes of the image's config. `SBOM_LIMIT` */
  configBytes: 4 * 1024 * 1024,
  /** Images that one generator reads at the same time, each in a thread with a heap of its own. Further ones wait. */
  imagesAtOnce: 2,
  /** Layers of one image that are fetched and read at the same time. */
  layersAtOnce: 4,
  /** Bytes of what one layer contributes. More is not kept for other images. */
  keptLayerBytes: 64 * 1024 ** 2,
  /** Heap of the thread that reads the layers of one image, besides its buffers. `SBOM_LIMIT` */
  heapBytes: 768 * 1024 ** 2,
  /** Milliseconds for which the threads of one image may work, without those for which they wait. `SBOM_LIMIT` */
  workMs: 15 * 60_000,
  /** Dependencies between packages. `SBOM_LIMIT` */
  dependencies: 1_000_000,
  /** Different gaps of each cause that are remembered; further ones are only counted. */
  gaps: 1000,
} as const;

/** {@link SBOM_LIMITS}, or lower values of the caller. */
export type SbomLimits = { readonly [Name in keyof typeof SBOM_LIMITS]: number };

/** The names of all limits. */
export const SBOM_LIMIT_NAMES = Object.keys(SBOM_LIMITS).join(', ');

/** Reads JSON of limits by name: `{"entries":8000000}`. Undefined if the text is anything else. */
export function parseSbomLimits(text: string): Partial<SbomLimits> | undefined {
  const limits = parseObject(Buffer.from(text));
  const isLimit = ([name, value]: [string, unknown]): boolean =>
    Object.hasOwn(SBOM_LIMITS, name) && Number.isSafeInteger(value) && Number(value) > 0;
  return limits !== undefined && Object.entries(limits).every(isLimit) ? limits : undefined;
}
