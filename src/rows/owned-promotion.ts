import type { Promotions } from '../ports/promotions.js';
import { believed } from './news.js';
import type { PromotionRow } from './promotion-row.js';
import { untilWritten } from './until-written.js';

interface OwnedPorts {
  store: Promotions;
}

/** Changes the row of a run that still owns it; undefined where it no longer does: such a run ends. */
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

/** The run's first write: the engine has it. @returns the row, with the `generation` that this run answers; undefined where the run is not the row's. */
export function takePromotion(ports: OwnedPorts, id: string, runId: string): Promise<PromotionRow | undefined> {
  return changeOwned(ports, id, runId, (row) =>
    row.runBegun ? undefined : { ...row, runBegun: true, state: 'working' },
  );
}

/** The row as it stands, for a run that looks again; no longer waiting. Undefined where the run is not the row's. */
export function readOwned(ports: OwnedPorts, id: string, runId: string): Promise<PromotionRow | undefined> {
  return changeOwned(ports, id, runId, (row) => {
    if (row.waitingFor === undefined && row.state !== 'waiting') return undefined;
    const { waitingFor: _waited, ...rest } = row;
    return { ...rest, state: 'working' };
  });
}

/** Writes which digest passed the gate, and by which rule. @returns false where the run is not the row's */
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

/** Writes that the run has waited for long enough: what its tag reads is what it is. @returns undefined if the run is not the row's */
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

/** Writes that the run waits for evidence, and that nothing wakes it yet. @returns false where the run is not the row's */
export async function writePausing(ports: OwnedPorts, id: string, runId: string): Promise<boolean> {
  const row = await changeOwned(ports, id, runId, (current) => ({ ...current, state: 'waiting' }));
  return row !== undefined;
}

/**
 * Writes that the run waits for evidence, and the event that wakes it, only if `generation` is still what the run looked at.
 * @returns `waiting`; `again` where something was raised meanwhile; `gone` where the run is not the row's
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
