import { TransportError, describeError } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { StepProgressSink } from '../ports/step.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { TickState } from './clock.js';
import { dueTime } from './due.js';
import { keepHouse } from './housekeeping.js';
import { reconcilePromotions, retryFailed } from './reconcile-promotions.js';
import { reconcileRuns } from './reconcile-runs.js';
import { resync, type Resync } from './resync.js';
import type { Scan } from './scan.js';
import { runEditedAgain, scanRepositories } from './scan-repositories.js';
import type { RuledRow } from './scan-rows.js';
import { Shares, type Share } from './shares.js';

/** How long after its begin a tick scans, and how long it scans at least, in milliseconds. */
const SCAN_UNTIL_MS = 40_000;
const LEAST_SCAN_MS = 10_000;
/** The same for resync, which comes after it. */
const RESYNC_UNTIL_MS = 45_000;
const LEAST_RESYNC_MS = 10_000;
/** How long a scan may take to stop when its time is over, in milliseconds: what it waits for is a registry's. */
const STOP_MS = 15_000;
/** How long after its begin a part that reconciles takes no further page, in milliseconds. */
const RECONCILE_MS = 12_000;
/** How long any other part of a tick may take, in milliseconds: what hangs keeps no other part from its turn. */
const PART_MS = 20_000;

export interface TickCall {
  /** PROMOTION_SCHEDULE: when scans are due. */
  schedule: string;
  /** What the tick before has left. */
  state: TickState;
  log: { info(text: string): void; warn(text: string): void };
  /** Says what is to be done about the signing key. */
  tellOfSigning(warn: (text: string) => void): Promise<void>;
}

/**
 * One tick of the schedule, once a minute and bounded: reconciles, scans if PROMOTION_SCHEDULE says so, and removes what is old. A part
 * that fails or hangs is logged, and the next tick does it again. May be done any number of times, and by several hosts at once.
 * @returns what the next tick needs to know
 */
export async function tick(ports: Ports, call: TickCall): Promise<TickState> {
  const { log } = call;
  const beganMs = ports.now().getTime();
  const dueAt = dueTime(call.schedule, call.state.dueAt, ports.now());
  const state: TickState = dueAt === undefined ? { ...call.state } : { dueAt, started: 0, scans: 'due' };
  const failed = await reconcile(ports, log, state);
  let edited: EditedAgain | undefined;
  await withShares(ports, log, async (shares) => {
    if (state.scans !== undefined) edited = await scan({ ports, log, state, beganMs }, shares.of('scan'));
    await compare({ ports, log, state, beganMs }, shares.of('resync'));
  });
  if (failed.length > 0) await tryAgain(ports, log, state, failed);
  if (edited !== undefined) await edited();
  if (dueAt === undefined) return state;
  await part(log, 'the signing key could not be read', PART_MS, () => call.tellOfSigning((text) => log.warn(text)));
  await part(log, 'old rows could not be removed', PART_MS, async () => {
    const removed = await keepHouse(ports);
    if (Object.values(removed).some((count) => count > 0)) log.info(`removed: ${JSON.stringify(removed)}`);
  });
  return state;
}

/** Everything that is open. If there is nothing of it, it takes two requests. @returns what failed and is to be tried again */
async function reconcile(ports: Ports, log: TickCall['log'], state: TickState): Promise<PromotionRow[]> {
  const failed: PromotionRow[] = [];
  const timer = (): (() => boolean) => {
    const until = ports.now().getTime() + RECONCILE_MS;
    return () => ports.now().getTime() >= until;
  };
  await part(log, 'jobs and result events could not be reconciled', PART_MS, async () => {
    const { started, lost, told, problems } = await reconcileRuns(ports, timer());
    if (started.length > 0) log.info(`jobs started: ${runIds(started)}`);
    if (lost.length > 0) log.warn(`jobs lost: ${runIds(lost)}`);
    if (told.length > 0) log.info(`result events sent late: ${runIds(told)}`);
    for (const problem of problems) log.warn(`it could not be reconciled: ${problem}`);
  });
  await part(log, 'promotions could not be reconciled', PART_MS, async () => {
    const found = await reconcilePromotions(ports, state.started, timer());
    failed.push(...found.failed);
    state.started += found.started;
    for (const problem of found.problems) log.warn(`it could not be reconciled: ${problem}`);
  });
  return failed;
}

async function tryAgain(
  ports: Ports,
  log: TickCall['log'],
  state: TickState,
  failed: readonly PromotionRow[],
): Promise<void> {
  await part(log, 'what failed could not be tried again', PART_MS, async () => {
    const { started, problems } = await retryFailed(ports, failed, state.started);
    state.started += started;
    if (started > 0) log.info(`tried again: ${started} promotions that had failed`);
    for (const problem of problems) log.warn(`it could not be tried again: ${problem}`);
  });
}

/** What asks registries, within the tick's shares; if these cannot be read, nothing does. */
async function withShares(ports: Ports, log: TickCall['log'], work: (shares: Shares) => Promise<void>): Promise<void> {
  const opened: Shares[] = [];
  await part(log, 'the shares of requests could not be read', PART_MS, async () => {
    opened.push(await Shares.open(ports));
  });
  for (const shares of opened) {
    await work(shares);
    await part(log, 'the shares of requests could not be written', PART_MS, () => shares.close());
  }
}

interface Ticking extends Pick<TickCall, 'log' | 'state'> {
  ports: Ports;
  beganMs: number;
}

/** Runs again what an edit of a rule asks for: after all that repairs something. */
type EditedAgain = () => Promise<void>;

/**
 * Scans what is due, and says in `state` if the next tick is to go on; if it fails, the next one does the same.
 * @returns undefined if no rule was edited
 */
async function scan({ ports, log, state, beganMs }: Ticking, share: Share): Promise<EditedAgain | undefined> {
  let edited: EditedAgain | undefined;
  const forMs = Math.max(beganMs + SCAN_UNTIL_MS - ports.now().getTime(), LEAST_SCAN_MS);
  await part(log, 'the scan stopped', forMs + STOP_MS, async (signal) => {
    const scan: Scan = {
      ports: { ...ports, ...share.counted() },
      share,
      call: { signal, progress: SILENT },
      until: ports.now().getTime() + forMs,
      dueMs: Date.parse(state.dueAt ?? ''),
      isBegin: state.scans === 'due',
      started: state.started,
      maxStarted: await ports.rules.maxRunsPerTick(),
      looked: 0,
      problems: [],
    };
    try {
      const { isLeft, outdated } = await scanRepositories(scan);
      state.scans = 'begun';
      if (!isLeft) delete state.scans;
      if (outdated.length > 0) edited = () => runEdited({ ports, log, state }, scan, outdated);
    } finally {
      state.started = scan.started;
      for (const problem of scan.problems) log.warn(`scan: ${problem}`);
      log.info(`scan: ${scan.looked} tags looked at, ${scan.started} runs started`);
    }
  });
  return edited;
}

/** It asks no registry, and has a time of its own. */
async function runEdited(
  { ports, log, state }: Pick<Ticking, 'ports' | 'log' | 'state'>,
  scanned: Scan,
  outdated: readonly RuledRow[],
): Promise<void> {
  await part(log, 'what an edit of a rule runs again could not be started', LEAST_SCAN_MS + STOP_MS, async (signal) => {
    const { started: before } = state;
    const until = ports.now().getTime() + LEAST_SCAN_MS;
    const scan: Scan = { ...scanned, call: { signal, progress: SILENT }, until, started: before, problems: [] };
    try {
      if (await runEditedAgain(scan, outdated)) state.scans = 'begun';
    } finally {
      state.started = scan.started;
      for (const problem of scan.problems) log.warn(`scan: ${problem}`);
      if (scan.started > before) log.info(`run again since a rule was edited: ${scan.started - before} promotions`);
    }
  });
}

/** Compares promotions, one by one, as far as the tick and the share of their registries allow. */
async function compare({ ports, log, state, beganMs }: Ticking, share: Share): Promise<void> {
  const forMs = Math.max(beganMs + RESYNC_UNTIL_MS - ports.now().getTime(), LEAST_RESYNC_MS);
  await part(log, 'resync stopped', forMs + STOP_MS, async (signal) => {
    const { started: before } = state;
    const maxStarted = await ports.rules.maxRunsPerTick();
    const call = { signal, progress: SILENT };
    const until = ports.now().getTime() + forMs;
    const bounds = { call, until, started: before, maxStarted, looked: 0, problems: [] };
    const compared: Resync = { ports, share, ...bounds };
    try {
      await resync(compared);
    } finally {
      state.started = compared.started;
      for (const problem of compared.problems) log.warn(`resync: ${problem}`);
      if (compared.looked > 0)
        log.info(`resync: ${compared.looked} promotions compared, ${compared.started - before} runs started`);
    }
  });
}

/** What is said while it scans is among its problems. */
const SILENT: StepProgressSink = {
  text: () => undefined,
  bytes: () => undefined,
  nodes: () => undefined,
  part: (_step, _of, work) => work(SILENT),
};

/** One part of a tick, with a time of its own, also if it does not listen to its signal. */
async function part(
  log: TickCall['log'],
  problem: string,
  ms: number,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const signal = AbortSignal.timeout(ms);
  const over = new Promise<never>((_resolve, reject) => {
    const late = (): void => reject(new TransportError('TIMEOUT', `it did not end in ${ms / 1_000} s`));
    signal.addEventListener('abort', late, { once: true });
  });
  try {
    await Promise.race([work(signal), over]);
  } catch (error) {
    const { code, message } = describeError(error);
    log.warn(`${problem}: ${code}: ${message}`);
  }
}

function runIds(ids: readonly string[]): string {
  return ids.map((id) => `runId=${id}`).join(' ');
}
