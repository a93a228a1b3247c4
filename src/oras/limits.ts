/** Bounds of this folder. */
export const ORAS_LIMITS = {
  /** Levels of referrers that are discovered. `GRAPH_TOO_DEEP` */
  discoverDepth: 16,
  /** Referrers in one tree. `GRAPH_TOO_WIDE` */
  discoverNodes: 100_000,
  /** Lists of referrers that are asked for at once. */
  discoverRequests: 32,
  /** Characters of a template. `TEMPLATE_INVALID` */
  templateCharacters: 64 * 1024,
  /** Bytes of a config that is fetched. `TOO_LARGE` */
  configBytes: 16 * 1024 * 1024,
  /** Bytes that the archives of one pull may unpack to, whatever their size. `TOO_LARGE` */
  unpackBytes: 16 * 1024 * 1024 * 1024,
  /** Bytes that they may unpack to, however small they are. */
  unpackFreeBytes: 64 * 1024 * 1024,
  /** Bytes that they may unpack to for each that is downloaded, above that. `TOO_LARGE` */
  unpackRatio: 200,
  /** Files that are looked at, written and moved at once. */
  fileOperations: 16,
  /** Bytes of a file of an archive that is held as a whole, so that several can be written at once. */
  smallFileBytes: 128 * 1024,
  /** Entries of an archive. `TOO_LARGE` */
  unpackEntries: 1_000_000,
  /** Levels of indexes, and of subjects, that are pulled. `GRAPH_TOO_DEEP` */
  pullDepth: 16,
  /** Manifests of one pull. `GRAPH_TOO_WIDE` */
  pullManifests: 10_000,
} as const;
