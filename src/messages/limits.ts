/** Bounds of this folder. */
export const LIMITS = {
  /** UTF-8 bytes of a queue message's text: a Storage queue holds 64 KiB of base64. What is over them goes to a document. */
  messageBytes: 48 * 1024,
  /** UTF-8 bytes of a job, by whichever door: there is room left for what we wrap around it. `JOB_TOO_LARGE` */
  jobBytes: 47 * 1024,
  /** Characters of a message that is read at all. `MESSAGE_INVALID`, `JOB_INVALID` */
  inputChars: 1024 * 1024,
  /** Characters of an identifier in an event or a job. `EVENT_INVALID`, `JOB_INVALID` */
  idChars: 1024,
  /** Entries of REGISTRY_IDS. `SETTINGS_INVALID` */
  loginServers: 100,
  /** Levels of nesting that are searched for secrets. `MESSAGE_INVALID`, `JOB_INVALID` */
  depth: 32,
  /** Bytes of all files that stand in a job itself. `JOB_INVALID` */
  inlineBytes: 32 * 1024,
  /** Characters of a file's path in a job. `JOB_INVALID` */
  pathChars: 512,
  /** Bytes that are unpacked of a message's archives, to search them for secrets; what is in them beyond that isn't looked at. */
  unpackedBytes: 1024 * 1024,
  /** Entries of one list in a job. `JOB_INVALID` */
  listEntries: 100,
  /** Characters of one annotation's value. `JOB_INVALID` */
  annotationChars: 8 * 1024,
  /** Problems that one error lists. */
  problems: 50,
  /** Characters of a reason in a poison message. Cut. */
  reasonChars: 2000,
  /** How long "not now" is tried again, from the first time on. */
  retryForMs: 24 * 60 * 60 * 1000,
  /** The first pause; each further one is twice as long. */
  retryFirstSeconds: 30,
  /** The longest pause. */
  retryLongestSeconds: 15 * 60,
} as const;
