/** Bounds of this folder. */
export const STEP_LIMITS = {
  /**
   * Notary signatures of one subject that one call of the gate reads for one policy, how many at once, and bytes of them; a list has
   * 10,000 at most, and the next call continues.
   */
  signaturesRead: 500,
  signaturesReadAtOnce: 8,
  signatureBytes: 64 * 1024 * 1024,
  /** Signatures of a list from which on the gate keeps what it found out about each. */
  rememberedFrom: 20,
  /** Signatures that the gate gives as reasons for one policy. */
  gateReasons: 20,
  /** Bytes of one signature envelope that are read; real ones have a few thousand. A larger one is none. */
  envelopeBytes: 256 * 1024,
  /** Signatures of one subject that are read to find our own, where none is recorded. */
  ownSignaturesRead: 100,
  /** SBOMs of one image that are known as ours: one for each repository that it was promoted from. */
  madeSboms: 1_000,
  /** Manifests under one root that get something attached. `TOO_MANY_IMAGES` */
  images: 100,
  /** Children of its indexes that are no manifests, such as the layers of a build cache. `TOO_MANY_IMAGES` */
  otherChildren: 1_000,
  /** Bytes of all manifests under one root together: each is read again in most steps of a run. `TOO_MANY_IMAGES` */
  manifestBytes: 16 * 1024 * 1024,
  /** Images of one index, and their SBOMs, that are looked at at once. */
  lookedAtOnce: 16,
  /** SBOMs of one image that have no row of ours and are looked at all the same; later ones are passed over. */
  foreignSboms: 100,
  /** Tries of one image's SBOM in one run that come to no end: none goes on where another has stopped. `SBOM_UNFINISHED` */
  sbomTries: 8,
  /** Tries of one signature in one run that lost their lease. `SIGNATURE_UNFINISHED` */
  lostLeases: 8,
  /** Referrers that a promotion left at the source and that its receipt names; of more it has the number. */
  leftBehind: 50,
  /** Characters of what a manifest is called in a run; more are cut off. */
  labelCharacters: 100,
  /** Runs, and promotions, and ignored events, that one tick looks at to remove them. */
  housePage: 100,
  /** Pages of ignored events that one tick removes: there may be more of them than of anything else. */
  ignoredPages: 10,
  /** How long ignored events are kept, in milliseconds. */
  ignoredMs: 7 * 24 * 3_600_000,
  /** How much time must have come over RUN_RETENTION_DAYS before its engine instances are looked for, in milliseconds. */
  forgetEveryMs: 3_600_000,
  /** How long a run that is stopped looks for the tag's digest, in milliseconds. */
  closingLookMs: 10_000,
  /** How long after a push its tag may not be there yet, in milliseconds: a replica may be late. */
  latePushMs: 15 * 60_000,
  /** How long one call works on a part of a copy before it asks for another, in milliseconds. */
  copyPartMs: 15 * 60_000,
  /**
   * How long one call works on what asks for all of a graph, in milliseconds, how many requests it makes, and how many bytes it
   * keeps of their answers, before it asks for another call.
   */
  stretchMs: 5 * 60_000,
  stretchRequests: 5_000,
  stretchBytes: 32 * 1024 * 1024,
  /** After so long without any answer, in milliseconds, what was answered before may have changed, and is asked for again. */
  staleAnswersMs: 15 * 60_000,
  /** Bytes of the document that keeps them. */
  stretchDocumentBytes: 60 * 1024 * 1024,
  /** Bytes that the answers of all stretches may take together. `GRAPH_TOO_LARGE` */
  keptAnswersBytes: 192 * 1024 * 1024,
  /** Parts' documents that are written at once. */
  partWrites: 8,
  /** Pause before a lease is asked for again, in milliseconds. */
  leasePauseMs: 2_000,
  /** How long one stretch of the schedule's walk may work, in milliseconds. */
  walkMs: 60_000,
  /** How often a stretch begins at one place before that is passed over until the next round: it kills its host, say. */
  stretchTries: 3,
  /** Rows that are not at rest of one page. */
  walkedRows: 50,
  /** Tags of a repository that the walk looks at together: a page of ACR's list. */
  walkedTags: 100,
  /** Requests, and runs that are started, side by side. */
  walkedAtOnce: 16,
  /** Rows of one repository that are read as a list; for tags beyond, each row is read by itself. */
  listedRows: 20_000,
  /** Promotions of a page of the deep pass. */
  deepPassPage: 20,
  /** Requests of one tick, as far as its first pass leaves some to the deep pass. */
  tickRequests: 60,
  /**
   * Requests of one deep pass: what is left to it in any case, and to one registry where nothing is known of its limits; and however much
   * the first pass made.
   */
  deepPassRequests: 16,
  mostDeepPassRequests: 500,
  /** Pages of one deep pass at most. */
  deepPassPages: 20,
  /** Requests to one registry for one promotion, where a pass may not make more anyway; a larger one is a run's to look at. */
  deepPassRowRequests: 200,
  /** Those that were too much, and are known to be; of more the oldest are looked at anew. */
  deepPassTooMuch: 200,
  /** How often a run looks at what the deep pass cannot decide, in milliseconds. */
  lookAgainMs: 24 * 3_600_000,
  /** How long the deep pass compares one promotion, in milliseconds. */
  deepPassRowMs: 3 * 60_000,
  /** How long a rule's first reading works in one round of the schedule, in milliseconds, and how many tags it lists in it. */
  baselineMs: 15 * 60_000,
  baselineTags: 50_000,
  /** Tags of one of its documents. */
  baselinePartTags: 5_000,
  /** Problems that one stretch of the walk tells, and how long each may be; more are left out. */
  problems: 20,
  problemCharacters: 500,
  /** Runs that one tick of the schedule tells of, and how long after their end, in milliseconds: their own step does it at once. */
  toldAtOnce: 100,
  tellingMs: 60_000,
  /** Bytes of a CloudEvent; one that would be larger leaves out what the run did, and cuts its reason. The receipt has both. */
  eventBytes: 40 * 1024,
  eventReasonCharacters: 2_000,
  /** How long before the end of a lease a tag is no longer written, in milliseconds. */
  tagMarginMs: 5_000,
  /** Bytes of an output that stands in its run's row; a larger one is a document. */
  inlineOutputBytes: 30_000,
  /** Bytes of a blob that is given in the output itself. */
  inlineBlobBytes: 20_000,
  /** Bytes that a pulled archive may unpack to: a function has little room on its disk. `TOO_LARGE` */
  unpackBytes: 1024 * 1024 * 1024,
  /** Tries of writing an output into its row. `ROW_CONTENDED` */
  outputTries: 20,
  /** Bytes of a job's file that is read as a whole: a manifest. `TOO_LARGE` */
  wholeFileBytes: 4 * 1024 * 1024,
  /** Characters of a pulled file's name in its container, and parts between slashes; the service's own limits. `FILE_NAME_INVALID` */
  blobNameChars: 1024,
  blobNameParts: 250,
  /** Files that one job pulls. `TOO_MANY_FILES` */
  pulledFiles: 10_000,
  /** Blobs of a folder that a job pushes. `TOO_MANY_FILES` */
  pushedFiles: 10_000,
  /** Bytes of such a folder: it is packed on the function's own disk. `TOO_LARGE` */
  pushedFolderBytes: 1024 * 1024 * 1024,
  /** How long a referrer that is listed and not there keeps a copy from being planned, in milliseconds: a replica may be late. */
  lateReferrersMs: 2 * 60_000,
} as const;
