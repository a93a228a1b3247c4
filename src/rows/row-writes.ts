import { PromoterError } from '../oci/index.js';
import type { Promotions } from '../ports/promotions.js';
import { believed } from './news.js';
import type { PromotionRow } from './promotion-row.js';
import type { Runs } from '../ports/runs.js';
import type { RunInput, RunRow } from './run-row.js';
import type { StepCall } from '../ports/step.js';
import type { Versioned } from '../ports/versioned.js';

/** Maximum tries of one conditional write. `ROW_CONTENDED` */
const ROW_TRIES = 60;

/** Tries a conditional write until it succeeds. Each try reads the row again. */
export async function untilWritten<T>(id: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < ROW_TRIES; tries += 1) {
    const done = await attempt();
    if (done !== undefined) return done;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(20 * 2 ** tries, 1000)));
  }
  throw new PromoterError('ROW_CONTENDED', `too many writers change ${id} at once`, {
    transient: true,
    remedy: 'The app retries; nothing was lost.',
  });
}

/**
 * Changes a run's row. Can be repeated.
 * @param change returns the changed row, or undefined if nothing is to be written
 * @param known the row, if it was just read
 * @returns the row after that; undefined if there is none
 * @throws PromoterError `ROW_CONTENDED` (transient)
 */
export async function changeRun(
  store: Runs,
  runId: string,
  change: (run: RunRow) => RunRow | undefined | Promise<RunRow | undefined>,
  known?: Versioned<RunRow>,
): Promise<RunRow | undefined> {
  let knownRow = known;
  const { run } = await untilWritten(runId, async () => {
    const current = knownRow ?? (await store.getRun(runId));
    knownRow = undefined;
    const changed = current && (await change(current.value));
    if (current === undefined || changed === undefined) return { run: current?.value };
    return (await store.replaceRun(changed, current.version)) ? { run: changed } : undefined;
  });
  return run;
}

interface OwnedPorts {
  store: Promotions;
}

/** Changes a row if this run still owns it. Undefined if it does not; the run must end then. */
async function changeOwned(
  ports: OwnedPorts,
  id: string,
  runId: string,
  change: (row: PromotionRow) => PromotionRow | undefined,
): Promise<PromotionRow | undefined> {
  const written = await untilWritten(id, async () => {
    const current = await ports.store.getPromotion(id);
    if (current === undefined || current.value.runId !== runId || !current.value.runOpen) return { row: undefined };
    const changed = change(current.value);
    if (changed === undefined) return { row: current.value };
    return (await ports.store.replacePromotion(changed, current.version)) ? { row: changed } : undefined;
  });
  return written.row;
}

/**
 * The first write of a run: it shows that the engine has the run.
 * @returns the row with the `generation` that this run answers; undefined if another run owns the row
 */
export function takePromotion(ports: OwnedPorts, id: string, runId: string): Promise<PromotionRow | undefined> {
  return changeOwned(ports, id, runId, (row) =>
    row.runBegun ? undefined : { ...row, runBegun: true, state: 'working' },
  );
}

/** Reads the row for a run's next check, and clears `waitingFor`. Undefined if another run owns the row. */
export function readOwned(ports: OwnedPorts, id: string, runId: string): Promise<PromotionRow | undefined> {
  return changeOwned(ports, id, runId, (row) =>
    row.waitingFor === undefined && row.state !== 'waiting'
      ? undefined
      : { ...row, waitingFor: undefined, state: 'working' },
  );
}

/**
 * Writes which digest passed the gate, and by which rule.
 * @returns false if another run owns the row
 */
export async function writeGatePassed(
  ports: OwnedPorts,
  id: string,
  runId: string,
  gate: NonNullable<PromotionRow['gate']>,
): Promise<boolean> {
  const row = await changeOwned(ports, id, runId, (current) =>
    current.gate?.digest === gate.digest && current.gate.fingerprint === gate.fingerprint
      ? undefined
      : { ...current, gate },
  );
  return row !== undefined;
}

/**
 * Writes that the run has waited long enough: it believes the digest that the tag reads.
 * @returns undefined if another run owns the row
 */
export function believeTag(
  ports: OwnedPorts,
  id: string,
  runId: string,
  digest: string,
): Promise<PromotionRow | undefined> {
  return changeOwned(ports, id, runId, (current) =>
    current.news === undefined ? undefined : { ...current, news: believed(current.news, digest) },
  );
}

/**
 * Writes that the run waits for evidence, without an event that notifies it.
 * @returns false if another run owns the row
 */
export async function writePausing(ports: OwnedPorts, id: string, runId: string): Promise<boolean> {
  const row = await changeOwned(ports, id, runId, (current) => ({ ...current, state: 'waiting' }));
  return row !== undefined;
}

/**
 * Writes that the run waits for evidence, and the event that notifies it. Does so only if `generation` has not changed
 * since the run's check.
 * @returns `waiting`; `again` if a trigger came meanwhile; `gone` if another run owns the row
 */
export async function writeWaiting(
  ports: OwnedPorts,
  id: string,
  runId: string,
  generation: number,
  event: string,
): Promise<'waiting' | 'again' | 'gone'> {
  const row = await changeOwned(ports, id, runId, (current) =>
    current.generation === generation ? { ...current, state: 'waiting', waitingFor: event } : undefined,
  );
  if (row === undefined) return 'gone';
  return row.waitingFor === event ? 'waiting' : 'again';
}

/** Writes the source's digest to the run's row as soon as it is known. Can be repeated. */
export async function writeDigest(ports: { store: Runs }, runId: string, digest: string): Promise<void> {
  await changeRun(ports.store, runId, (run) =>
    run.state === 'ended' || run.digest === digest ? undefined : { ...run, digest },
  );
}

/** The input of a promotion's run: the rule when the run was opened, the source tag and the destination. */
export type OpenedPromotion = Extract<RunInput, { kind: 'promotion' }>;

/** The input of the run that a step is called for. @throws PromoterError `RUN_UNKNOWN` */
export function openedBy({ run }: Pick<StepCall, 'run'>): OpenedPromotion {
  if (run?.input.kind === 'promotion') return run.input;
  throw new PromoterError('RUN_UNKNOWN', 'the run of this step promotes nothing, or its row is gone', {
    remedy: 'No action needed: the next run starts from the beginning.',
  });
}
