/**
 * Bounds on what an image may make us read or keep. What exceeds them is refused (`SBOM_LIMIT`, which names the limit) or named as a
 * gap, never cut off in silence. They leave room above the largest images in use, and keep the memory of one image below what an
 * instance of 2 GiB has.
 */
export const SBOM_LIMITS = {
  /** Layers of one image; runtimes mount 500 at most, Docker 127. `SBOM_LIMIT` */
  layers: 1000,
  /** Unpacked bytes of all layers together. Images with large models have tens of gigabytes. `SBOM_LIMIT` */
  unpackedBytes: 100 * 1024 ** 3,
  /** Unpacked bytes of all layers together that no ratio is asked of: room for files of zeros. `SBOM_LIMIT` */
  freeUnpackedBytes: 2 * 1024 ** 3,
  /** Unpacked bytes for each packed byte, beyond `freeUnpackedBytes`. Layers of programs have 2 to 5; gzip can reach 1,030. `SBOM_LIMIT` */
  unpackedRatio: 100,
  /** Window that a zstd layer may ask of whoever unpacks it, as `zstd --ultra -22` has it. `SBOM_LIMIT` */
  zstdWindowBytes: 128 * 1024 ** 2,
  /** Frames of all zstd layers together; layers made for lazy pulling have one or two for each file. `SBOM_LIMIT` */
  zstdFrames: 1_000_000,
  /** Headers of all layers together: archive entries, and the extended headers before them. `SBOM_LIMIT` */
  entries: 4_000_000,
  /** Characters of one path or link target, as Linux's PATH_MAX. `SBOM_LIMIT` */
  pathBytes: 4096,
  /** Bytes of an extended header (long name, pax records), as in Go's archive/tar. `SBOM_LIMIT` */
  headerBytes: 1024 * 1024,
  /** Memory, about, for the paths that tell what an upper layer hides: some two million files. `SBOM_LIMIT` */
  rememberedBytes: 256 * 1024 ** 2,
  /** Bytes of package databases and manifests that are read. `SBOM_LIMIT` */
  readBytes: 512 * 1024 ** 2,
  /** Packages found, each place counted. `SBOM_LIMIT` */
  packages: 100_000,
  /** Characters of what is kept of the packages: names, versions, licences, places. `SBOM_LIMIT` */
  packageChars: 32 * 1024 ** 2,
  /** Licences of one package, from all its places. Then a gap. */
  licensesPerPackage: 100,
  /** Bytes of the SBOM. `SBOM_LIMIT` */
  documentBytes: 64 * 1024 ** 2,
  /** Bytes of the image's config. `SBOM_LIMIT` */
  configBytes: 4 * 1024 * 1024,
  /** Times that one layer is read, to follow hard links to files that were passed by. Then a gap. */
  passesPerLayer: 4,
  /** Gaps that are named one by one; the rest is counted. */
  gaps: 100,
} as const;

/** As {@link SBOM_LIMITS}, with what a caller sets lower. */
export type SbomLimits = { readonly [Name in keyof typeof SBOM_LIMITS]: number };
