/** Bounds of the local registry; what is over them is refused with the specification's code. */
export const LIMITS = {
  /** Bytes of a manifest. `MANIFEST_INVALID`, 413 */
  manifestBytes: 4 * 1024 * 1024,
  /** Bytes of a form sent to the token endpoints. `SIZE_INVALID`, 413 */
  formBytes: 256 * 1024,
  /** Entries of one page, whatever `n` says. */
  pageEntries: 1000,
  /** Entries of a page of referrers. */
  referrersPage: 100,
  /** Scopes of one token request. */
  scopes: 100,
  /** Request log entries kept in memory; the file has them all. */
  loggedRequests: 20_000,
  /** Bytes of a log file before it is turned over (one older one is kept). */
  logBytes: 64 * 1024 * 1024,
  /** Upload sessions that were not touched for this long are swept at start. */
  uploadAgeMs: 7 * 24 * 3600_000,
  /** Events waiting to be delivered; past that, the oldest go to the dead letters. */
  waitingEvents: 10_000,
  /** How long an event is tried, as Event Grid does: 24 hours. */
  eventAgeMs: 24 * 3600_000,
  /** How long a receiver has to answer, as Event Grid has it. */
  eventAnswerMs: 30_000,
  /** Events under way at once. */
  eventsUnderWay: 8,
  /** Levels of referrers of referrers that go with a deleted subject. */
  graphDepth: 64,
} as const;
