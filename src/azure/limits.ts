/** Bounds of this folder: what is over them is refused with a code, never truncated in silence. */
export const LIMITS = {
  /** UTF-16 units of JSON in one property of a table row; the service allows 32,768. */
  rowChunkUnits: 32_000,
  /** Properties that one row's JSON may fill. `ROW_TOO_LARGE` */
  rowChunks: 8,
  /** Rows of a list that is read whole: a run's steps, the promotions of a digest. `TOO_MANY_ROWS` */
  wholeListRows: 2_000,
  /** Rows of one transaction; the service's own limit. */
  transactionRows: 100,
  /** Rows of one page of a list. `PAGE_SIZE_INVALID` */
  pageRows: 100,
  /** Queries for one page of a filtered list, and rows that each but the first looks through. */
  pageQueries: 4,
  filteredRows: 500,
  /** Characters of a table key that is made from a name; longer names end in their hash. */
  keyCharacters: 300,
  /** Blobs that are deleted side by side. */
  removedAtOnce: 16,
  /** Bytes of one document. `DOCUMENT_TOO_LARGE` */
  documentBytes: 64 * 1024 * 1024,
  /** Bytes of one file that was pulled. `FILE_TOO_LARGE` */
  fileBytes: 16 * 1024 * 1024 * 1024,
  /** Bytes of a message's text: 64 KiB in base64. `MESSAGE_TOO_LARGE` */
  messageBytes: 48 * 1024,
  /** Seconds that a message may be hidden for; the service's own limit. `MESSAGE_DELAY_INVALID` */
  messageDelaySeconds: 7 * 24 * 60 * 60,
  /** Milliseconds that a secret is kept: one that was changed counts after so long. */
  secretKeepMs: 60_000,
  /** Milliseconds for one answer of Key Vault, its repetitions included. `CREDENTIAL_UNREADABLE` */
  secretReadMs: 60_000,
  /** Milliseconds for one answer of Key Vault about the signing key, sign-in included. `KEY_VAULT_UNAVAILABLE` */
  keyAnswerMs: 20_000,
  /** Times that a call of Key Vault is repeated at once; then the step is put off. */
  keyRepeats: 2,
  /** The longest pause before such a repetition, in milliseconds: a longer Retry-After puts the step off. */
  keyRepeatPauseMs: 2_000,
  /** Milliseconds that a signer is kept: a rotated key or a new certificate counts after so long. */
  signerKeepMs: 5 * 60_000,
  /** Milliseconds before the signing key is looked for again after it could not be read. */
  signerRetryMs: 15_000,
  /** Versions of a key that are looked through for one with a certificate, newest first. `SIGNING_KEY_MISMATCH` */
  keyVersions: 20,
  /** Versions of a key in its whole list. `TOO_MANY_KEY_VERSIONS` */
  listedKeyVersions: 1_000,
  /** Milliseconds for reading a blob that a setting names, repetitions included. `RULES_UNREADABLE`, `SIGNING_CERTIFICATE_UNREADABLE` */
  textBlobMs: 30_000,
  /** Milliseconds for finding the signing key and its certificates. `KEY_VAULT_UNAVAILABLE` */
  signerLoadMs: 60_000,
  /** Bytes of the blob with the rules. `RULES_INVALID` */
  rulesBlobBytes: 1_000_000,
  /** Bytes of a blob with certificates. `SIGNING_CERTIFICATE_INVALID` */
  certificateBlobBytes: 1024 * 1024,
} as const;
