/** Bounds and defaults of this folder. Those that are options of {@link createTransport} say so. */
export const TRANSPORT_LIMITS = {
  /** Until a connection stands, TLS included. Option `timeouts.connectMs`; `CONNECT_FAILED` */
  connectMs: 10_000,
  /** From the request's last byte to the answer's first: a commit of a large blob takes its time. Option `timeouts.firstByteMs`; `TIMEOUT` */
  firstByteMs: 120_000,
  /** Between two pieces of a body, either way. Option `timeouts.stallMs`; `STALLED` */
  stallMs: 60_000,
  /** Tries of one request, the first included. Option `retry.attempts` */
  attempts: 5,
  /** The first pause; doubled each time, and cut by up to a half at random. Option `retry.baseMs` */
  retryBaseMs: 200,
  /** The longest pause that we choose. */
  retryCapMs: 10_000,
  /** The longest Retry-After that is waited for; a longer one is the caller's: `TOOMANYREQUESTS`. Option `retry.maxRetryAfterMs` */
  retryAfterMs: 30_000,
  /** Blobs up to this size share the connections of small requests: as much as goes in one flight (docs/decisions/http-version.md). */
  smallBlobBytes: 64 * 1024,
  /** Connections to one host for each kind of request. Option `connections` */
  connections: 64,
  /** Bytes of an error answer that are read. The rest is left. */
  errorBytes: 64 * 1024,
  /** Bytes that are read off an answer nobody wants, so that its connection can be kept. */
  drainBytes: 64 * 1024,
  /** Bytes of a token endpoint's answer. `TOO_LARGE` */
  tokenBytes: 1024 * 1024,
  /** Tokens kept; past that the oldest is got anew when it is needed. */
  tokens: 2000,
  /** Hosts of which is remembered what they reported of their limits. */
  reportedHosts: 1000,
  /** Characters of a registry's own words that are passed on. */
  messageCharacters: 300,
} as const;

export const TRACE_LIMITS = {
  /** Bytes of an answer that are shown; of a longer one nothing is. */
  bodyBytes: 16 * 1024,
} as const;

export const DOWNLOAD_LIMITS = {
  /** Times one download is gone on with after it broke; the error of the last break is thrown. */
  breaks: 20,
  /** Times without a single byte in between. */
  breaksAtOnePlace: 4,
  /** Bytes that an answer must have brought for its early end not to count among the breaks. */
  pieceBytes: 1024 * 1024,
} as const;

export const UPLOAD_LIMITS = {
  /** Times one upload is started, over from POST where the session was lost; the last reason is thrown. */
  attempts: 4,
  /** Blobs up to this size go in one PUT. Option `uploads.monolithicBytes` */
  monolithicBytes: 1024 * 1024 * 1024,
  /** Larger ones in pieces of this size, each held in memory until it has arrived. Option `uploads.chunkBytes` */
  chunkBytes: 16 * 1024 * 1024,
  /** However a registry answers 413, not smaller than this. */
  smallestChunkBytes: 1024 * 1024,
  /** However large `OCI-Chunk-Min-Length` is, not larger than this. */
  largestChunkBytes: 256 * 1024 * 1024,
  /** Times one piece is sent again within its session. */
  chunkAttempts: 4,
  /** Times it is asked whether a blob has come whose closing request broke: a registry may hash fifty gigabytes first. */
  closingAsks: 30,
} as const;

export const LISTING_LIMITS = {
  /** Entries that are asked for in one page. */
  pageEntries: 1000,
  /** Entries of ACR's `_tags` in one page. */
  tagDetailsPageEntries: 100,
  /** Requests at once where something is asked for each entry of a page. */
  concurrency: 16,
} as const;

export const REFERRERS_LIMITS = {
  /** Referrers of one subject. `GRAPH_TOO_WIDE` */
  entries: 10_000,
  /** Bytes of one page: it has the annotations of each referrer, and some registries have one page only. `TOO_LARGE` */
  pageBytes: 32 * 1024 * 1024,
  /** The same for all pages of one subject. `GRAPH_TOO_WIDE` */
  listBytes: 64 * 1024 * 1024,
  /** Times an index of the tag schema is read, written and read back. `REFERRERS_INDEX_CONTENDED` */
  attempts: 12,
  /** Milliseconds in which changes to an index are gathered before the first is written. */
  gatherMs: 10,
  /** Milliseconds to wait for another holder of the index's lease. `REFERRERS_INDEX_BUSY` */
  leaseWaitMs: 60_000,
  /** Milliseconds before the lease's end in which nothing is written any more. */
  leaseMarginMs: 1000,
  /** Repositories for which is remembered whether they have the referrers API. */
  repositories: 10_000,
} as const;

export const DOCKER_CONFIG_LIMITS = {
  /** Characters of a Docker config. `DOCKER_CONFIG_INVALID` */
  fileBytes: 4 * 1024 * 1024,
  /** Milliseconds for which a found credential is kept. */
  keepMs: 60_000,
  /** Milliseconds that a credential helper may take (it may ask the user for a password). `CREDENTIAL_HELPER_FAILED` */
  helperMs: 60_000,
  /** Characters of a credential helper's answer. */
  helperBytes: 1024 * 1024,
} as const;
