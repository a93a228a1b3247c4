import type { TagName } from '../rules/match.js';
import { promotionId } from '../rules/promotion-id.js';
import type { Rule } from '../rules/rule.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { TriggerCause } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import { untilWritten } from './until-written.js';
import { wakeForSource } from './wake-run.js';
import { withNewRun, startRun, destinationText } from './open-run.js';
import { tendPromotion } from './reconcile.js';

export interface RaisedPromotion {
  promotionId: string;
  /** Absent where new runs are paused and there was none. */
  runId?: string;
  /** The row closes with the outcome of this request once no run is open and `wanted` is at least this. */
  wanted: number;
}

/**
 * Says that a promotion should be looked at, for whatever reason: opens a run where none is open, otherwise leaves the rest to
 * the open one. May be called any number of times.
 * @param cause the row and the run that is opened say it
 * @throws PromoterError `ROW_CONTENDED` (transient)
 */
export async function raiseWanted(
  ports: RunPorts,
  rule: Rule,
  source: TagName,
  cause: Omit<TriggerCause, 'at'>,
): Promise<RaisedPromotion> {
  const id = promotionId(rule.name, source);
  const name = { registry: source.registry, repository: source.repository, tag: source.tag };
  return untilWritten(id, async () => {
    const now = ports.now();
    const lastTrigger: TriggerCause = { ...cause, at: now.toISOString() };
    const current = await ports.store.getPromotion(id);
    if (current === undefined) {
      const fresh: PromotionRow = {
        id,
        rule: rule.name,
        source: name,
        destination: destinationText(rule, name),
        wanted: 1,
        answered: 0,
        wantedAt: now.toISOString(),
        lastTrigger,
        state: 'working',
        runOpen: false,
        runBegun: false,
        failures: 0,
      };
      const row = ports.paused ? fresh : withNewRun(fresh, now, lastTrigger);
      if (!(await ports.store.insertPromotion(row))) return undefined;
      if (row.runOpen) await startRun(ports, row, rule);
      return { promotionId: id, wanted: 1, ...(row.runId !== undefined && { runId: row.runId }) };
    }
    const wanted = current.value.wanted + 1;
    const raised = { ...current.value, wanted, wantedAt: now.toISOString(), lastTrigger };
    if (!raised.runOpen) {
      const row = ports.paused
        ? raised
        : { ...withNewRun(raised, now, lastTrigger), destination: destinationText(rule, name) };
      if (!(await ports.store.replacePromotion(row, current.version))) return undefined;
      if (row.runOpen) await startRun(ports, row, rule);
      return { promotionId: id, wanted, ...(row.runId !== undefined && { runId: row.runId }) };
    }
    raised.absorbed = (raised.absorbed ?? 0) + 1;
    if (!(await ports.store.replacePromotion(raised, current.version))) return undefined;
    await tendPromotion(ports, id, rule);
    if (raised.runId !== undefined) await wakeForSource(ports, raised.runId);
    return { promotionId: id, wanted, ...(raised.runId !== undefined && { runId: raised.runId }) };
  });
}
