import { describeError } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { dueTime, type TickState } from './clock.js';
import { removeOld } from './housekeeping.js';
import { reconcilePromotions, retryFailed } from './reconcile-promotions.js';
import { reconcileRuns } from './reconcile-runs.js';
import { resync, type Resync } from './resync.js';
import type { Scan } from './scan.js';
import { rerunEdited, scanRepositories } from './scan-repositories.js';
import type { RuledRow } from './scan-rows.js';
import { Shares, type Share } from './request-shares.js';
import { within } from './time-limit.js';

/** A tick scans until this long after its start, but at least for LEAST_SCAN_MS. Milliseconds. */
const SCAN_UNTIL_MS = 40_000;
const LEAST_SCAN_MS = 10_000;
/**
 * Resync follows the scans. It runs until this long after the start of the tick, but at least for LEAST_RESYNC_MS.
 * Milliseconds.
 */
const RESYNC_UNTIL_MS = 45_000;
const LEAST_RESYNC_MS = 10_000;
/** How long a scan may take to stop once its time is over: it may be waiting for a registry. Milliseconds. */
const STOP_MS = 15_000;
/** The reconcile parts read no further page after this time. Milliseconds. */
const RECONCILE_MS = 12_000;
/** The time limit of any other part of a tick, so that a part that hangs does not block the others. Milliseconds. */
const PART_MS = 20_000;

export interface TickCall {
  /** The setting PROMOTION_SCHEDULE: when scans are due. */
  schedule: string;
  /** The state that the previous tick returned. */
  state: TickState;
  log: { info(text: string): void; warn(text: string): void };
  /** Warns if the signing key or its certificate needs attention. */
  warnOfSigning(warn: (text: string) => void): Promise<void>;
}

/**
 * Runs one tick of the schedule, once a minute: reconciles, scans if PROMOTION_SCHEDULE says so, compares promotions
 * (resync) and removes old rows. Each part has a time limit. A part that fails or hangs is logged, and the next tick
 * repeats it. Ticks may be repeated and may run on several hosts at once.
 * @returns the state for the next tick
 */
export async function tick(ports: Ports, call: TickCall): Promise<TickState> {
  const { log } = call;
  const beganMs = ports.now().getTime();
  const dueAt = dueTime(call.schedule, call.state.dueAt, ports.now());
  const state: TickState = dueAt === undefined ? { ...call.state } : { dueAt, started: 0, scans: 'due' };
  const ticking: Ticking = { ports, log, state, beganMs };
  const failed = await reconcile(ticking);
  let edited: Edited | undefined;
  const shares = await part(log, 'could not read the request shares', PART_MS, () => Shares.open(ports));
  if (shares !== undefined) {
    if (state.scans !== undefined) edited = await runScans(ticking, shares.of('scan'));
    await runResync(ticking, shares.of('resync'));
    await part(log, 'could not write the request shares', PART_MS, () => shares.close());
  }
  if (failed.length > 0) await retry(ticking, failed);
  // Last, because repairs come first.
  if (edited !== undefined) await rerunAfterEdits(ticking, edited);
  if (dueAt === undefined) return state;
  await part(log, 'could not check the signing key', PART_MS, () => call.warnOfSigning((text) => log.warn(text)));
  await part(log, 'could not remove old rows', PART_MS, async () => {
    const removed = await removeOld(ports);
    if (Object.values(removed).some((count) => count > 0)) log.info(`removed: ${JSON.stringify(removed)}`);
  });
  return state;
}

interface Ticking extends Pick<TickCall, 'log' | 'state'> {
  ports: Ports;
  beganMs: number;
}

/**
 * Reconciles open runs, open promotions and unsent result events. A quiet tick costs two table requests.
 * @returns the failed promotions that are due for a retry
 */
async function reconcile({ ports, log, state }: Ticking): Promise<PromotionRow[]> {
  const timer = (): (() => boolean) => {
    const until = ports.now().getTime() + RECONCILE_MS;
    return () => ports.now().getTime() >= until;
  };
  await part(log, 'could not reconcile jobs and result events', PART_MS, async () => {
    const { started, orphaned, sent, problems } = await reconcileRuns(ports, timer());
    if (started.length > 0) log.info(`jobs started: ${runIds(started)}`);
    if (orphaned.length > 0) log.warn(`orphaned jobs ended: ${runIds(orphaned)}`);
    if (sent.length > 0) log.info(`result events sent late: ${runIds(sent)}`);
    for (const problem of problems) log.warn(`could not reconcile: ${problem}`);
  });
  const failed = await part(log, 'could not reconcile promotions', PART_MS, async () => {
    const found = await reconcilePromotions(ports, state.started, timer());
    state.started += found.started;
    for (const problem of found.problems) log.warn(`could not reconcile: ${problem}`);
    return found.failed;
  });
  return failed ?? [];
}

async function retry({ ports, log, state }: Ticking, failed: readonly PromotionRow[]): Promise<void> {
  await part(log, 'could not retry failed promotions', PART_MS, async () => {
    const { started, problems } = await retryFailed(ports, failed, state.started);
    state.started += started;
    if (started > 0) log.info(`retried ${started} failed promotions`);
    for (const problem of problems) log.warn(`could not retry: ${problem}`);
  });
}

/** The bounds of a part that starts runs, and what it has done. */
type Bounds = Pick<Scan, 'signal' | 'until' | 'started' | 'maxStarted' | 'checked' | 'problems'>;

/**
 * Runs a part that starts runs. Counts the runs in the state, and logs its problems, also if it fails.
 * @param forMs how long it begins new work
 * @param name names it in the log
 */
function startingPart<T>(
  { ports, log, state }: Ticking,
  problem: string,
  forMs: number,
  name: string,
  work: (bounds: Bounds) => Promise<T>,
): Promise<T | undefined> {
  return part(log, problem, forMs + STOP_MS, async (signal) => {
    const maxStarted = await ports.rules.maxRunsPerTick();
    const until = ports.now().getTime() + forMs;
    const bounds: Bounds = { signal, until, started: state.started, maxStarted, checked: 0, problems: [] };
    try {
      return await work(bounds);
    } finally {
      state.started = bounds.started;
      for (const each of bounds.problems) log.warn(`${name}: ${each}`);
    }
  });
}

/** The time that is left for a part, in milliseconds. */
function leftMs({ ports, beganMs }: Ticking, untilMs: number, leastMs: number): number {
  return Math.max(beganMs + untilMs - ports.now().getTime(), leastMs);
}

/** Repositories whose promotions may need a run because their rule was edited, and the scan that found them. */
interface Edited {
  scan: Scan;
  outdated: readonly RuledRow[];
}

/**
 * Runs the scans that are due. Sets `state.scans` if the next tick must continue; if the scan fails, `state.scans`
 * stays as it is.
 * @returns undefined if no rule was edited
 */
function runScans(ticking: Ticking, share: Share): Promise<Edited | undefined> {
  const { ports, log, state } = ticking;
  const forMs = leftMs(ticking, SCAN_UNTIL_MS, LEAST_SCAN_MS);
  return startingPart(ticking, 'the scan failed', forMs, 'scan', async (bounds) => {
    const isBegin = state.scans === 'due';
    const ofScan = { ports: { ...ports, ...share.counted() }, share, dueMs: Date.parse(state.dueAt ?? ''), isBegin };
    const scan: Scan = Object.assign(bounds, ofScan);
    try {
      const { isLeft, outdated } = await scanRepositories(scan);
      state.scans = isLeft ? 'begun' : undefined;
      return outdated.length > 0 ? { scan, outdated } : undefined;
    } finally {
      log.info(`scan: ${scan.checked} tags checked, ${scan.started} runs started`);
    }
  });
}

/** Starts the runs that an edited rule needs. Sends no registry request, and has its own time limit. */
async function rerunAfterEdits(ticking: Ticking, { scan: scanned, outdated }: Edited): Promise<void> {
  const { log, state } = ticking;
  const { started: before } = state;
  const problem = 'could not rerun the promotions of an edited rule';
  await startingPart(ticking, problem, LEAST_SCAN_MS, 'scan', async (bounds) => {
    const scan: Scan = Object.assign(bounds, { ...scanned, ...bounds });
    try {
      if (await rerunEdited(scan, outdated)) state.scans = 'begun';
    } finally {
      if (scan.started > before) log.info(`reran ${scan.started - before} promotions because their rule was edited`);
    }
  });
}

/** Compares promotions one by one, within the time limit and the request shares of their registries. */
async function runResync(ticking: Ticking, share: Share): Promise<void> {
  const { ports, log, state } = ticking;
  const { started: before } = state;
  const forMs = leftMs(ticking, RESYNC_UNTIL_MS, LEAST_RESYNC_MS);
  await startingPart(ticking, 'resync failed', forMs, 'resync', async (bounds) => {
    const compared: Resync = Object.assign(bounds, { ports, share });
    try {
      await resync(compared);
    } finally {
      if (compared.checked > 0)
        log.info(`resync: ${compared.checked} promotions compared, ${compared.started - before} runs started`);
    }
  });
}

/** Runs one part of a tick with a time limit, even if the part ignores its signal. @returns undefined if it fails */
async function part<T>(
  log: TickCall['log'],
  problem: string,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await within(new AbortController().signal, ms, 'it', work);
  } catch (error) {
    const { code, message } = describeError(error);
    log.warn(`${problem}: ${code}: ${message}`);
    return undefined;
  }
}

function runIds(ids: readonly string[]): string {
  return ids.map((id) => `runId=${id}`).join(' ');
}
