/** Bounds on what an image may make us read or keep. What is over them is refused or named as a gap, never cut off in silence. */
export const SBOM_LIMITS = {
  /** Unpacked bytes of all layers together. `SBOM_LIMIT` */
  unpackedBytes: 256 * 1024 ** 3,
  /** Archive entries of all layers together. `SBOM_LIMIT` */
  entries: 4_000_000,
  /** Bytes of one path or link target, as Linux's PATH_MAX. `SBOM_LIMIT` */
  pathBytes: 4096,
  /** Bytes of an extended header (long name, pax records), as in Go's archive/tar. `SBOM_LIMIT` */
  headerBytes: 1024 * 1024,
  /** Characters of paths that are remembered to tell what an upper layer hides. `SBOM_LIMIT` */
  rememberedChars: 256 * 1024 ** 2,
  /** Packages found, each place counted. `SBOM_LIMIT` */
  packages: 200_000,
  /** Characters of what is kept of the packages: names, versions, licences, places. `SBOM_LIMIT` */
  packageChars: 128 * 1024 ** 2,
  /** Bytes of the image's config. `SBOM_LIMIT` */
  configBytes: 4 * 1024 * 1024,
  /** Times that one layer is read, to follow hard links to files that were passed by. Then a gap. */
  passesPerLayer: 4,
  /** Gaps that are named one by one; the rest is counted. */
  gaps: 100,
} as const;

/** As {@link SBOM_LIMITS}, with what a caller sets lower. */
export type SbomLimits = { readonly [Name in keyof typeof SBOM_LIMITS]: number };
