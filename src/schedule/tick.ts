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
  const failed = await reconcile(ports, log, state);
  let rerunEditedRules: RerunEditedRules | undefined;
  await withShares(ports, log, async (shares) => {
    if (state.scans !== undefined) rerunEditedRules = await runScans({ ports, log, state, beganMs }, shares.of('scan'));
    await runResync({ ports, log, state, beganMs }, shares.of('resync'));
  });
  if (failed.length > 0) await retry(ports, log, state, failed);
  if (rerunEditedRules !== undefined) await rerunEditedRules();
  if (dueAt === undefined) return state;
  await part(log, 'could not check the signing key', PART_MS, () => call.warnOfSigning((text) => log.warn(text)));
  await part(log, 'could not remove old rows', PART_MS, async () => {
    const removed = await removeOld(ports);
    if (Object.values(removed).some((count) => count > 0)) log.info(`removed: ${JSON.stringify(removed)}`);
  });
  return state;
}

/**
 * Reconciles open runs, open promotions and unsent result events. A quiet tick costs two table requests.
 * @returns the failed promotions that are due for a retry
 */
async function reconcile(ports: Ports, log: TickCall['log'], state: TickState): Promise<PromotionRow[]> {
  const failed: PromotionRow[] = [];
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
  await part(log, 'could not reconcile promotions', PART_MS, async () => {
    const found = await reconcilePromotions(ports, state.started, timer());
    failed.push(...found.failed);
    state.started += found.started;
    for (const problem of found.problems) log.warn(`could not reconcile: ${problem}`);
  });
  return failed;
}

async function retry(
  ports: Ports,
  log: TickCall['log'],
  state: TickState,
  failed: readonly PromotionRow[],
): Promise<void> {
  await part(log, 'could not retry failed promotions', PART_MS, async () => {
    const { started, problems } = await retryFailed(ports, failed, state.started);
    state.started += started;
    if (started > 0) log.info(`retried ${started} failed promotions`);
    for (const problem of problems) log.warn(`could not retry: ${problem}`);
  });
}

/** Runs the work that sends requests to registries. Skips it if the request shares cannot be read. */
async function withShares(ports: Ports, log: TickCall['log'], work: (shares: Shares) => Promise<void>): Promise<void> {
  const opened: Shares[] = [];
  await part(log, 'could not read the request shares', PART_MS, async () => {
    opened.push(await Shares.open(ports));
  });
  for (const shares of opened) {
    await work(shares);
    await part(log, 'could not write the request shares', PART_MS, () => shares.close());
  }
}

interface Ticking extends Pick<TickCall, 'log' | 'state'> {
  ports: Ports;
  beganMs: number;
}

/** Starts the runs that an edited rule needs. Called last in a tick, because repairs come first. */
type RerunEditedRules = () => Promise<void>;

/**
 * Runs the scans that are due. Sets `state.scans` if the next tick must continue; if the scan fails, `state.scans`
 * stays as it is.
 * @returns undefined if no rule was edited
 */
async function runScans({ ports, log, state, beganMs }: Ticking, share: Share): Promise<RerunEditedRules | undefined> {
  let rerunEditedRules: RerunEditedRules | undefined;
  const forMs = Math.max(beganMs + SCAN_UNTIL_MS - ports.now().getTime(), LEAST_SCAN_MS);
  await part(log, 'the scan failed', forMs + STOP_MS, async (signal) => {
    const scan: Scan = {
      ports: { ...ports, ...share.counted() },
      share,
      signal,
      until: ports.now().getTime() + forMs,
      dueMs: Date.parse(state.dueAt ?? ''),
      isBegin: state.scans === 'due',
      started: state.started,
      maxStarted: await ports.rules.maxRunsPerTick(),
      checked: 0,
      problems: [],
    };
    try {
      const { isLeft, outdated } = await scanRepositories(scan);
      state.scans = 'begun';
      if (!isLeft) delete state.scans;
      if (outdated.length > 0) rerunEditedRules = () => rerunAfterEdits({ ports, log, state }, scan, outdated);
    } finally {
      state.started = scan.started;
      for (const problem of scan.problems) log.warn(`scan: ${problem}`);
      log.info(`scan: ${scan.checked} tags checked, ${scan.started} runs started`);
    }
  });
  return rerunEditedRules;
}

/** Sends no registry request, and has its own time limit. */
async function rerunAfterEdits(
  { ports, log, state }: Pick<Ticking, 'ports' | 'log' | 'state'>,
  scanned: Scan,
  outdated: readonly RuledRow[],
): Promise<void> {
  await part(log, 'could not rerun the promotions of an edited rule', LEAST_SCAN_MS + STOP_MS, async (signal) => {
    const { started: before } = state;
    const until = ports.now().getTime() + LEAST_SCAN_MS;
    const scan: Scan = { ...scanned, signal, until, started: before, problems: [] };
    try {
      if (await rerunEdited(scan, outdated)) state.scans = 'begun';
    } finally {
      state.started = scan.started;
      for (const problem of scan.problems) log.warn(`scan: ${problem}`);
      if (scan.started > before) log.info(`reran ${scan.started - before} promotions because their rule was edited`);
    }
  });
}

/** Compares promotions one by one, within the time limit and the request shares of their registries. */
async function runResync({ ports, log, state, beganMs }: Ticking, share: Share): Promise<void> {
  const forMs = Math.max(beganMs + RESYNC_UNTIL_MS - ports.now().getTime(), LEAST_RESYNC_MS);
  await part(log, 'resync failed', forMs + STOP_MS, async (signal) => {
    const { started: before } = state;
    const maxStarted = await ports.rules.maxRunsPerTick();
    const until = ports.now().getTime() + forMs;
    const bounds = { signal, until, started: before, maxStarted, checked: 0, problems: [] };
    const compared: Resync = { ports, share, ...bounds };
    try {
      await resync(compared);
    } finally {
      state.started = compared.started;
      for (const problem of compared.problems) log.warn(`resync: ${problem}`);
      if (compared.checked > 0)
        log.info(`resync: ${compared.checked} promotions compared, ${compared.started - before} runs started`);
    }
  });
}

/** Runs one part of a tick with a time limit, even if the part ignores its signal. */
async function part(
  log: TickCall['log'],
  problem: string,
  ms: number,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  try {
    await within(new AbortController().signal, ms, 'it', work);
  } catch (error) {
    const { code, message } = describeError(error);
    log.warn(`${problem}: ${code}: ${message}`);
  }
}

function runIds(ids: readonly string[]): string {
  return ids.map((id) => `runId=${id}`).join(' ');
}
