import { describeError } from '../oci/index.js';
import { addProblemText, isRunLimitReached, isTimeOver, type RepositoryScan, type Scan } from './scan.js';
import { changeWork, fullWork, sortedForChangeScan, sortedForFullScan, type Work } from './due-scans.js';
import { isOutdated, rerunAfterEdit } from './rerun-after-edit.js';
import { claimedState, failuresOf, isClaimable } from '../rows/scan-row.js';
import { listRows, scheduledRules, updateRows, type RuledRow } from './scan-rows.js';
import { tookTooLong, within } from './time-limit.js';

/**
 * Limits for one repository in one tick, in milliseconds: a scan begins no new piece after the first, and is aborted
 * after the second. Both are shorter than a claim.
 */
const SCAN_MS = 15_000;
const LONGEST_SCAN_MS = 25_000;
/** Reserved for full scans that are due: a part of the registry's share, and of the tick's time (milliseconds). */
const FULL_SCANS_SHARE = 0.2;
const FULL_SCANS_MS = 8_000;
/** Repositories of one registry that are scanned in parallel. */
const SCANNED_AT_ONCE = 4;

/** The result of {@link scanRepositories}. */
export interface ScannedRepositories {
  /** True if the next tick must continue. */
  isLeft: boolean;
  /** Repositories whose promotions may need a run because their rule was edited. */
  outdated: RuledRow[];
}

/**
 * Runs the scans that are due, within one tick's limits: change scans first, then full scans. Repositories are
 * independent: one that fails, hangs or crashes its host does not delay the others. See docs/decisions/schedule.md.
 */
export async function scanRepositories(scan: Scan): Promise<ScannedRepositories> {
  const rules = scheduledRules(await scan.ports.rules.load());
  if (scan.isBegin) await updateRows(scan, rules);
  const rows = await listRows(scan, rules);
  const registries = [...new Set(rows.map(({ value }) => value.registry))];
  const left = await Promise.all(registries.map((registry) => scanRegistry(scan, registry, rows)));
  const outdated = rows.filter(({ rule, value: { state } }) => isOutdated({ rule, state }));
  return { isLeft: left.includes(true), outdated: scan.ports.paused ? [] : outdated };
}

/**
 * Starts the runs that edited rules need. Called last in a tick, because repairs come first.
 * @returns true if the next tick must continue
 */
export async function rerunEdited(scan: Scan, outdated: readonly RuledRow[]): Promise<boolean> {
  return (await scanAll(scan, outdated, rerunAfterEdit, () => isRunLimitReached(scan))) && !isRunLimitReached(scan);
}

/** @returns true if something is left for the next tick */
async function scanRegistry(scan: Scan, registry: string, all: readonly RuledRow[]): Promise<boolean> {
  const rows = all.filter(({ value }) => value.registry === registry);
  const { share, ports } = scan;
  const full = sortedForFullScan(scan, rows);
  const kept = full.length === 0 ? 0 : share.left(registry) * FULL_SCANS_SHARE;
  const untilMs = full.length === 0 ? scan.until : scan.until - FULL_SCANS_MS;
  const isChangeLeft = await scanAll(
    scan,
    sortedForChangeScan(scan, rows),
    changeWork,
    () => share.left(registry) <= kept || ports.now().getTime() >= untilMs,
  );
  return (await scanAll(scan, full, fullWork, () => share.left(registry) <= 0)) || isChangeLeft;
}

/**
 * Scans repositories that failed before one at a time, after the others: one of them may crash the host and all that is
 * scanned with it.
 */
async function scanAll(scan: Scan, rows: readonly RuledRow[], work: Work, isEnough: () => boolean): Promise<boolean> {
  const now = scan.ports.now();
  const failures = ({ value }: RuledRow): number => failuresOf(value.state, work === fullWork);
  const claimable = rows.filter(({ value }) => isClaimable(value.state, now, work === fullWork));
  const well = claimable.filter((row) => failures(row) === 0);
  const failed = claimable.filter((row) => failures(row) > 0);
  failed.sort((a, b) => failures(a) - failures(b));
  const isLeft = await scanSome(scan, well, SCANNED_AT_ONCE, work, isEnough);
  return (await scanSome(scan, failed, 1, work, isEnough)) || isLeft;
}

/** @returns true if some repositories were not reached or not finished */
async function scanSome(
  scan: Scan,
  rows: readonly RuledRow[],
  atOnce: number,
  work: Work,
  isEnough: () => boolean,
): Promise<boolean> {
  const waiting = [...rows];
  let isLeft = false;
  let hanging = 0;
  const scanNext = async (): Promise<void> => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      // Once enough repositories hang, the registry is not answering. The rest wait for the next tick.
      if (isTimeOver(scan) || isEnough() || hanging >= atOnce) {
        isLeft = true;
        return;
      }
      const outcome = await scanRow(scan, row, work);
      if (outcome === 'hangs') hanging += 1;
      if (outcome === 'left') isLeft = true;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, scanNext));
  return isLeft;
}

/** Scans one repository under a claim. Progress is written even if the scan fails. */
async function scanRow(scan: Scan, row: RuledRow, work: Work): Promise<'done' | 'left' | 'hangs' | 'failed'> {
  const { ports } = scan;
  const now = ports.now();
  const { state, ...key } = row.value;
  const claimed = claimedState(state, now, work === fullWork);
  const version = await ports.store.replaceScanRow({ ...key, state: claimed }, row.version);
  // Another host has claimed it.
  if (version === undefined) return 'done';
  const { rule, value } = row;
  const until = Math.min(scan.until, now.getTime() + SCAN_MS);
  const place: RepositoryScan = { scan, rule, repository: value.repository, state, signal: scan.signal, until };
  const { triedAt } = claimed;
  let outcome: 'done' | 'left' | 'hangs' | 'failed';
  let { failures, fullFailed } = claimed;
  try {
    const isDone = await within(scan.signal, LONGEST_SCAN_MS, `${value.registry}/${value.repository}`, (signal) =>
      work(Object.assign(place, { signal })),
    );
    outcome = isDone ? 'done' : 'left';
    failures = 0;
    if (work === fullWork) fullFailed = undefined;
  } catch (error) {
    const { code, message } = describeError(error);
    addProblemText(scan, `rule ${rule.name}, ${value.repository}: ${code}: ${message}`);
    outcome = tookTooLong(error) ? 'hangs' : 'failed';
  }
  row.value = { ...key, state: { ...place.state, failures, triedAt, fullFailed } };
  row.version = (await ports.store.replaceScanRow(row.value, version)) ?? version;
  return outcome;
}
