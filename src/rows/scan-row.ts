import { z } from 'zod';

/** One list of a registry, newest first, as far as it was read. */
const listCursorSchema = z.object({
  /** The newest time of its first page: epoch milliseconds of the registry's clock; 0 if it was empty. */
  newestMs: z.number(),
  /** Entries of the minutes before that which were handled, as short hashes. */
  handled: z.array(z.string()),
});
export type ListCursor = z.infer<typeof listCursorSchema>;

const cursorSchema = z.object({ tags: listCursorSchema, manifests: listCursorSchema });
/** Where the change scan of a repository goes on. */
export type ScanCursor = z.infer<typeof cursorSchema>;

const existingSchema = z.object({
  /** Hash of the tag globs for which it was recorded. */
  globs: z.string(),
  /** Documents that hold it. */
  parts: z.number(),
  /** False: the scan still records, and starts nothing. */
  isWhole: z.boolean(),
  /** The newest time of a tag when it began; what was written later is new. Absent if the registry tells no times. */
  untilMs: z.number().exactOptional(),
});
/** What a rule with `existing: ignore` leaves alone. */
export type Existing = z.infer<typeof existingSchema>;

const fullScanSchema = z.object({
  startedAt: z.string(),
  /** Of the rule by which it looks. */
  fingerprint: z.string(),
  /** The tag after which it goes on. */
  after: z.string().exactOptional(),
  /** Rows of another fingerprint were met. */
  hasOutdated: z.boolean().exactOptional(),
});

const ranAgainSchema = z.object({
  /** The fingerprint of the rule as it was then. */
  by: z.string(),
  /** The tag after which it goes on. */
  after: z.string().exactOptional(),
  isWhole: z.boolean(),
});

const scanStateSchema = z.object({
  /** The rule's scan fingerprint when the last full scan began; absent: one is to come first. */
  fingerprint: z.string().exactOptional(),
  /** How far its promotions were run again since the rule was edited. */
  ranAgain: ranAgainSchema.exactOptional(),
  /** Absent: no scan yet, or the registry has no lists by time. */
  cursor: cursorSchema.exactOptional(),
  /** How far changes were handled on which more promotions stand than could be started: the last one's id, by the hash of the entry. */
  partly: z.record(z.string(), z.string()).exactOptional(),
  existing: existingSchema.exactOptional(),
  /** The registry does not list the repository any more: the row goes after one more full scan. */
  isGone: z.literal(true).exactOptional(),
  /** A full scan, or the recording of what exists, that has not ended. */
  full: fullScanSchema.exactOptional(),
  lastChangeScanAt: z.string().exactOptional(),
  /** When the last full scan that has ended began. */
  lastFullScanAt: z.string().exactOptional(),
  /** Scans in a row that did not end well. One that is under way counts, so that what kills its host is told from what does not. */
  failures: z.number(),
  /** When the last scan began. */
  triedAt: z.string().exactOptional(),
  /** Full scans in a row that did not end well, and when the last one began: change scans that do well take nothing of that back. */
  fullFailed: z.object({ failures: z.number(), triedAt: z.string() }).exactOptional(),
});
export type ScanState = z.infer<typeof scanStateSchema>;

export const scanRowSchema = z.object({
  rule: z.string(),
  registry: z.string(),
  repository: z.string(),
  /** Of another version of this code: from the start. */
  state: scanStateSchema.catch({ failures: 0 }),
});
/** What the schedule knows of one repository of one rule. */
export type ScanRow = z.infer<typeof scanRowSchema>;

/** How long a scan may work on its row before others may, in milliseconds. */
const CLAIM_MS = 60_000;
/** The longest pause after failures, in milliseconds. */
const LONGEST_PAUSE_MS = 3_600_000;

/** When the row may be scanned again after a failure. A claim counts as a failure until its scan ends. The pause is a minute, doubling to an hour. */
function retryAtMs({ failures, triedAt }: Pick<ScanState, 'failures' | 'triedAt'>): number {
  if (failures === 0 || triedAt === undefined) return 0;
  return Date.parse(triedAt) + Math.min(CLAIM_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
}

/** The state of a row whose scan begins: it has failed until it ends. */
export function claimedState(state: ScanState, now: Date, isFull: boolean): ScanState {
  const triedAt = now.toISOString();
  const fullFailed = { failures: (state.fullFailed?.failures ?? 0) + 1, triedAt };
  return { ...state, failures: state.failures + 1, triedAt, ...(isFull && { fullFailed }) };
}

/** Whether the row may be claimed. A scan of the future was that of a clock that was wrong. */
export function isClaimable(state: ScanState, now: Date, isFull: boolean): boolean {
  const tried = isFull && state.fullFailed !== undefined ? [state, state.fullFailed] : [state];
  return tried.every((each) => retryAtMs(each) <= now.getTime() || Date.parse(each.triedAt ?? '') > now.getTime());
}

/** How often in a row such a scan did not end well. */
export function failuresOf({ failures, fullFailed }: ScanState, isFull: boolean): number {
  return Math.max(failures, isFull ? (fullFailed?.failures ?? 0) : 0);
}
