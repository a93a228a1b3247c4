import { z } from 'zod';

/** How far one list of a registry, newest first, was read. */
const listCursorSchema = z.object({
  /** The newest time on its first page: epoch milliseconds by the registry's clock; 0 if the list was empty. */
  newestMs: z.number(),
  /** Entries of the minutes before that time that were handled, as short hashes. */
  handled: z.array(z.string()),
});
export type ListCursor = z.infer<typeof listCursorSchema>;

const cursorSchema = z.object({ tags: listCursorSchema, manifests: listCursorSchema });
/** Where the next change scan of a repository continues. */
export type ScanCursor = z.infer<typeof cursorSchema>;

const existingSchema = z.object({
  /** Hash of the tag globs of the recording. */
  globs: z.string(),
  /** The number of documents that hold the recording. */
  parts: z.number(),
  /** False while the scan still records the existing tags. No run starts until then. */
  isWhole: z.boolean(),
  /**
   * The newest time of a tag when the recording started; tags written later are new. Absent if the registry reports no
   * times.
   */
  untilMs: z.number().optional(),
});
/** The recording of existing tags, which a rule with `existing: ignore` does not promote. */
export type Existing = z.infer<typeof existingSchema>;

const fullScanSchema = z.object({
  startedAt: z.string(),
  /** The fingerprint of the rule for which it scans. */
  fingerprint: z.string(),
  /** The tag after which it continues. */
  after: z.string().optional(),
  /** The scan found rows with an older fingerprint. */
  hasOutdated: z.boolean().optional(),
});

const ranAgainSchema = z.object({
  /** The fingerprint of the rule at that time. */
  by: z.string(),
  /** The tag after which it continues. */
  after: z.string().optional(),
  isWhole: z.boolean(),
});

const scanStateSchema = z.object({
  /** The rule's scan fingerprint when the last full scan began. Absent if a full scan must come first. */
  fingerprint: z.string().optional(),
  /** How many of the promotions were run again since the rule changed. */
  ranAgain: ranAgainSchema.optional(),
  /** Absent before the first scan, and if the registry has no lists by time. */
  cursor: cursorSchema.optional(),
  /**
   * Changes that affect more promotions than a tick may start: by the hash of the entry, the id of the last promotion
   * that was handled.
   */
  partly: z.record(z.string(), z.string()).optional(),
  existing: existingSchema.optional(),
  /** The registry no longer lists the repository. The row is removed after one more full scan. */
  isGone: z.literal(true).optional(),
  /** A full scan, or a recording of existing tags, that is not finished. */
  full: fullScanSchema.optional(),
  lastChangeScanAt: z.string().optional(),
  /** When the last finished full scan began. */
  lastFullScanAt: z.string().optional(),
  /**
   * Failed scans in a row. A scan that is running counts as failed, so that a scan that crashes its process is counted
   * too.
   */
  failures: z.number(),
  /** When the last scan began. */
  triedAt: z.string().optional(),
  /** Failed full scans in a row, and when the last one began. A successful change scan does not reset this. */
  fullFailed: z.object({ failures: z.number(), triedAt: z.string() }).optional(),
});
export type ScanState = z.infer<typeof scanStateSchema>;

export const scanRowSchema = z.object({
  rule: z.string(),
  registry: z.string(),
  repository: z.string(),
  /** If another version wrote a state that does not parse, scanning starts over. */
  state: scanStateSchema.catch({ failures: 0 }),
});
/** The scan state of one repository of one rule. */
export type ScanRow = z.infer<typeof scanRowSchema>;

/** How long a scan owns its row before another scan may take it, in milliseconds. */
const CLAIM_MS = 60_000;
/** The longest pause after failures, in milliseconds. */
const LONGEST_PAUSE_MS = 3_600_000;

/**
 * When the row may be scanned again after a failure. A running scan counts as a failure. The pause is a minute,
 * doubling up to an hour.
 */
function retryAtMs({ failures, triedAt }: Pick<ScanState, 'failures' | 'triedAt'>): number {
  if (failures === 0 || triedAt === undefined) return 0;
  return Date.parse(triedAt) + Math.min(CLAIM_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
}

/** The state of a row when a scan begins: it counts as failed until it ends. */
export function claimedState(state: ScanState, now: Date, isFull: boolean): ScanState {
  const triedAt = now.toISOString();
  const fullFailed = { failures: (state.fullFailed?.failures ?? 0) + 1, triedAt };
  return { ...state, failures: state.failures + 1, triedAt, ...(isFull && { fullFailed }) };
}

/** True if a scan may begin. Ignore a start time in the future: the clock was wrong. */
export function isClaimable(state: ScanState, now: Date, isFull: boolean): boolean {
  const tried = isFull && state.fullFailed !== undefined ? [state, state.fullFailed] : [state];
  return tried.every((each) => retryAtMs(each) <= now.getTime() || Date.parse(each.triedAt ?? '') > now.getTime());
}

/** Failed scans of this kind in a row. */
export function failuresOf({ failures, fullFailed }: ScanState, isFull: boolean): number {
  return Math.max(failures, isFull ? (fullFailed?.failures ?? 0) : 0);
}
