import { fingerprint, type Rule } from '../rules/rule.js';
import { currentRule } from '../rules/match.js';
import { rowAfterRun, closedRow, endRunRow } from './run-end.js';
import { PromoterError } from '../oci/index.js';
import type { RulesSource } from '../ports/rules-source.js';
import type { RunPorts } from '../ports/run-ports.js';
import { openNext } from './open-run.js';
import { ruleGone, reconcileRun } from './reconcile.js';
import type { Looked } from './news.js';
import type { PromotionRow } from './promotion-row.js';
import type { RunResult, RunRow, Trigger } from './run-row.js';
import type { Versioned } from '../ports/versioned.js';
import { untilWritten } from './row-writes.js';

/**
 * Closes the row, or opens the next run where something was wanted meanwhile, or where the tag has moved on. A close that is
 * done twice finds its successor and sees to it.
 * @param known both rows as the caller has read them; they are read again only if a write finds them changed
 */
export async function closePromotion(
  ports: RunPorts & { rules: RulesSource },
  id: string,
  runId: string,
  ended: { generation: number; result: RunResult; rule: Rule; looked?: Looked | undefined },
  known: { run?: Versioned<RunRow> | undefined; row?: Versioned<PromotionRow> | undefined } = {},
): Promise<'closed' | 'next' | 'gone'> {
  // Where somebody ended it before, that is how it ended.
  const result = await endRunRow(ports, runId, ended.result, known.run);
  const generation = await answeredGeneration(ports, runId, { ...ended, result });
  let knownRow = known.row;
  return untilWritten(id, async (): Promise<'closed' | 'next' | 'gone' | undefined> => {
    const current = knownRow ?? (await ports.store.getPromotion(id));
    knownRow = undefined;
    if (current === undefined) return 'gone';
    const row = current.value;
    if (row.runId !== runId) {
      if (row.previousRunId !== runId) return 'gone';
      const now = await readCurrentRule(ports, row);
      if (now?.rule !== undefined && !(await reconcileRun(ports, current, now.rule))) return undefined;
      return 'next';
    }
    if (!row.runOpen) return 'closed';
    // Given up when it wasn't lost: what it has done is there, and the run that follows finds it.
    if (result.outcome === 'interrupted') return 'gone';
    const now = ports.now();
    const answer = rowAfterRun(row, runId, { ...ended, generation, result, read: ended.generation }, now);
    const finishedAt = now.toISOString();
    const noted = answer.row;
    if (noted.generation !== generation || !answer.isFinal) {
      const by = await readCurrentRule(ports, row);
      // Paused, or while the rules cannot be read, the row is closed with `generation` ahead; the schedule opens the next run later.
      if (by?.rule !== undefined && !ports.paused) {
        const coalesced = row.generation === generation ? undefined : row.lastTrigger;
        const trigger: Trigger = { kind: 'follow-up', id: runId, at: finishedAt, ...(coalesced && { coalesced }) };
        const next = await openNext(ports, { value: noted, version: current.version }, by.rule, trigger);
        return next === undefined ? undefined : 'next';
      }
      if (by !== undefined && by.rule === undefined)
        Object.assign(noted, ruleGone(noted, finishedAt, fingerprint(ended.rule)));
    }
    const closed = closedRow(noted, result);
    return (await ports.store.replacePromotion(closed, current.version)) ? 'closed' : undefined;
  });
}

/** The row's rule as it is now, or none if it is gone; undefined if the rules cannot be read: that takes no run its end. */
async function readCurrentRule(
  ports: { rules: RulesSource },
  { rule, source }: PromotionRow,
): Promise<{ rule: Rule | undefined } | undefined> {
  try {
    return { rule: currentRule(await ports.rules.load(), rule, source) };
  } catch (error) {
    if (!(error instanceof PromoterError) || error.transient) throw error;
    return undefined;
  }
}

/** A run that was stopped has answered all that was wanted when it was asked to stop, and nothing that came after: also where it read that. */
async function answeredGeneration(
  ports: RunPorts,
  runId: string,
  { generation, result }: { generation: number; result: RunResult },
): Promise<number> {
  if (result.outcome !== 'cancelled') return generation;
  const cancel = (await ports.store.getRun(runId))?.value.cancel;
  return cancel?.generation ?? generation;
}
