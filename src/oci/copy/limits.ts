/** Bounds of copying. Depth and width of a graph are in the folder above: LIMITS.graphDepth, LIMITS.graphNodes. */
export const COPY_LIMITS = {
  /** Requests under way at once on each side while planning, moving and verifying. Setting: `concurrency`, `requestConcurrency`. */
  requests: 32,
  /** Bytes of blobs between the two sides at once. Setting: `bytesInFlight`. */
  bytesInFlight: 32 * 1024 * 1024,
  /** What one stream may hold of that, whatever the blob's size. */
  bytesOfOneStream: 8 * 1024 * 1024,
  /** Bytes of manifests that a plan carries along; the rest is fetched once more when it is moved. */
  planBytes: 8 * 1024 * 1024,
  /** The largest manifest that a plan carries along. */
  planManifestBytes: 256 * 1024,
  /**
   * A blob with more bytes is moved in pieces of an upload that goes on after a crash: at 2.5 MB/s it takes two minutes.
   * Setting: `COPY_PART_BYTES`
   */
  largeBlobBytes: 256 * 1024 * 1024,
  /** Tags read in search of digest tags; beyond, each digest's are asked for one by one. */
  digestTagScan: 1000,
  /** Manifests that one index may hold, at any depth, if it refers to what is promoted; more are `REFERRER_UNREADABLE`. */
  heldManifests: 1000,
  /** The same for all such indexes of one walk together. */
  heldInAll: 10_000,
  /**
   * Blobs that manifests with more than `fewBlobs` may name in all, if they refer to what is promoted; what names more is
   * `REFERRER_UNREADABLE`.
   */
  manyBlobs: 20_000,
  fewBlobs: 8,
  /** Of those manifests, how many are looked at at once. */
  judgedAtOnce: 16,
  /** The largest blob that is remembered where reads are: a signature's envelope. */
  rememberedBlobBytes: 64 * 1024,
  /** Pauses in milliseconds before the destination is asked again for what it does not show; as many repairs are tried. `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST` */
  arrivalPausesMs: [0, 250, 1000, 2000, 4000],
} as const;
