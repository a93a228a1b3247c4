import { PromoterError } from '../oci/index.js';
import { scanFingerprint, type Rule } from '../rules/rule.js';
import type { ScanState } from '../rows/scan-row.js';
import { changeScan, newestCursor } from './change-scan.js';
import { forgetExisting, globsHash, recordExisting } from './existing-tags.js';
import { fullScan } from './full-scan.js';
import { isRunLimitReached, mustPause, type RepositoryScan, type Scan } from './scan.js';
import type { RuledRow } from './scan-rows.js';

/**
 * A full scan is due this long after the last one, in milliseconds. That leaves an hour to run it, so that each
 * repository has one within six hours.
 */
const FULL_SCAN_EVERY_MS = 5 * 3_600_000;

/** The work on one repository in one tick. @returns true if nothing is left for the next tick */
export type Work = (place: RepositoryScan) => Promise<boolean>;

/** The rows that are due for a change scan, least recently scanned first. */
export function sortedForChangeScan(scan: Scan, rows: readonly RuledRow[]): RuledRow[] {
  const triedAt = ({ value: { state } }: RuledRow): string => state.triedAt ?? '';
  return rows.filter((row) => isChangeScanDue(scan, row)).sort((a, b) => (triedAt(a) < triedAt(b) ? -1 : 1));
}

/** A change scan is due only after the existing tags are recorded, if the rule ignores those. */
function isChangeScanDue({ ports, dueMs }: Scan, { rule, value: { state } }: RuledRow): boolean {
  if (ports.paused || state.cursor === undefined || isToRecord(rule, state)) return false;
  return isDue(state.lastChangeScanAt, dueMs, ports.now());
}

/** A scan time in the future came from a wrong clock and does not count. */
function isDue(lastAt: string | undefined, dueMs: number, now: Date): boolean {
  const lastMs = Date.parse(lastAt ?? '');
  return !(lastMs >= dueMs && lastMs <= now.getTime());
}

export const changeWork: Work = async (place) => {
  const { scan } = place;
  const lastChangeScanAt = scan.ports.now().toISOString();
  try {
    const isDone = (await changeScan(place)) || isRunLimitReached(scan);
    if (isDone) place.state = { ...place.state, lastChangeScanAt };
    return isDone;
  } catch (error) {
    if (!hasNoLists(error)) throw error;
    // The registry has no ACR lists, so from now on it has full scans only.
    place.state = { ...place.state, cursor: undefined };
    return true;
  }
};

/**
 * The rows that are due for a full scan: first those without a scan under the rule's present fingerprint, then the
 * oldest.
 */
export function sortedForFullScan(scan: Scan, rows: readonly RuledRow[]): RuledRow[] {
  const due = rows.filter((row) => isFullScanDue(scan, row));
  const rank = ({ rule, value: { state } }: RuledRow): string =>
    state.fingerprint === scanFingerprint(rule) ? `1 ${state.lastFullScanAt ?? ''}` : `0 ${state.triedAt ?? ''}`;
  return due.sort((a, b) => (rank(a) < rank(b) ? -1 : Number(rank(a) > rank(b))));
}

function isFullScanDue({ ports, dueMs }: Scan, { rule, value: { state } }: RuledRow): boolean {
  if (isToRecord(rule, state)) return true;
  if (ports.paused) return false;
  if (state.full !== undefined || state.fingerprint !== scanFingerprint(rule)) return true;
  const now = ports.now();
  // Registries without ACR lists have no change scan, so they need a full scan each time.
  return isDue(state.lastFullScanAt, state.cursor === undefined ? dueMs : now.getTime() - FULL_SCAN_EVERY_MS, now);
}

export const fullWork: Work = async (place) => {
  const { scan } = place;
  if (!(await knowExisting(place))) return false;
  if (scan.ports.paused) return true;
  // Recording may have used up the time or the requests.
  if (mustPause(place)) return false;
  if (place.state.cursor === undefined) place.state = { ...place.state, cursor: await cursorIfListed(place) };
  return (await fullScan(place)) || isRunLimitReached(scan);
};

/**
 * Records the tags that exist, if the rule ignores existing tags and they are not recorded yet.
 * @returns false if some are left for the next tick
 */
async function knowExisting(place: RepositoryScan): Promise<boolean> {
  const { scan, rule, repository } = place;
  if (
    place.state.existing !== undefined &&
    (rule.existing !== 'ignore' || place.state.existing.globs !== globsHash(rule))
  ) {
    await forgetExisting(scan.ports, rule, repository, place.state.existing);
    place.state = { ...place.state, existing: undefined, full: undefined };
  }
  if (!isToRecord(rule, place.state)) return true;
  let existing = place.state.existing ?? { globs: globsHash(rule), parts: 0, isWhole: false };
  if (place.state.full?.fingerprint !== RECORDING) {
    const cursor = await cursorIfListed(place);
    existing = { ...existing, untilMs: cursor?.tags.newestMs ?? existing.untilMs };
    const full = { startedAt: scan.ports.now().toISOString(), fingerprint: RECORDING };
    place.state = { ...place.state, cursor, existing, full };
  }
  return recordExisting(place, existing);
}

/** Replaces the fingerprint in `full` while existing tags are being recorded. */
const RECORDING = 'existing';

function isToRecord(rule: Rule, { existing }: ScanState): boolean {
  return rule.existing === 'ignore' && (existing?.isWhole !== true || existing.globs !== globsHash(rule));
}

/** Undefined if the registry has no ACR lists. */
async function cursorIfListed(place: RepositoryScan): Promise<ScanState['cursor']> {
  try {
    return await newestCursor(place);
  } catch (error) {
    if (!hasNoLists(error)) throw error;
    return undefined;
  }
}

function hasNoLists(error: unknown): boolean {
  return error instanceof PromoterError && error.code === 'NO_ACR_LISTS';
}
