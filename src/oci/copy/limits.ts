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
   * Bytes that one part of a split plan moves at most, manifests included; a larger blob is a part of its own, moved stretch by
   * stretch. Ten parts at once are done in twenty minutes at 36 MB/s in all. Setting: `COPY_PART_BYTES`
   */
  partBytes: 4 * 1024 * 1024 * 1024,
  /**
   * Manifests and blobs of one part. ACR lets one identity write a thousand times a minute: ten parts at once, at a write and a
   * half for each node, are done in fifteen minutes.
   */
  partNodes: 1000,
  /** Parts of one plan. `COPY_TOO_LARGE` */
  parts: 1000,
  /** A blob that several parts need is moved before them where it is larger than this; a smaller one by each that finds it missing. */
  sharedBlobBytes: 1024 * 1024,
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
