import { type TagName, currentRule } from '../rules/match.js';
import { promotionId, fingerprint, type Rule } from '../rules/rule.js';
import type { RunPorts } from '../ports/run-ports.js';
import { NO_NEWS, addNews, isAnsweredBy, type TriggerReport } from './news.js';
import type { TriggerCause, RunRow, Trigger } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import { untilWritten } from './row-writes.js';
import { notifyForSource } from './notify-run.js';
import { withNewRun, startRun, destinationText, openNext } from './open-run.js';
import { reconcilePromotion, ruleGone, reconcileRow } from './reconcile.js';
import { rowAfterRun, closedRow, endRunRow, type Answer } from './run-end.js';
import { PromoterError } from '../oci/index.js';
import type { RulesSource } from '../ports/rules-source.js';
import type { Versioned } from '../ports/versioned.js';

/** The cause of a trigger, and what it reports about the tag or a referrer. */
export type RowTrigger = Omit<TriggerCause, 'at'> & TriggerReport;

export interface Incremented {
  promotionId: string;
  /** Absent if there is nothing to do, or if the app is paused and no run was open. */
  runId?: string;
  /** The outcome of this request is known as soon as no run is open and `observedGeneration` is at least this. */
  generation: number;
  /** False if the row already had everything that the trigger reports, so that nothing was written. */
  isNew: boolean;
}

/**
 * Triggers a promotion: opens a run if none is open; otherwise the open run coalesces the trigger. Can be repeated: a
 * trigger that reports nothing new costs reads only.
 * @param trigger written to the row and to the run that is opened
 * @throws PromoterError `ROW_CONTENDED` (transient)
 */
export async function incrementGeneration(
  ports: RunPorts,
  rule: Rule,
  source: TagName,
  { kind, id: causeId, reason, ...report }: RowTrigger,
): Promise<Incremented> {
  const id = promotionId(rule.name, source);
  return untilWritten(id, async () => {
    const now = ports.now();
    const lastTrigger: TriggerCause = { kind, id: causeId, reason, at: now.toISOString() };
    const current = await ports.store.getPromotion(id);
    const before = current?.value ?? newRow(id, rule, source, now);
    const { news, isKnown } = addNews(before, report, now);
    // The activity of a job that has incremented this row runs again.
    const repeated = kind === 'job' ? before.jobs?.find((job) => job.id === causeId) : undefined;
    if (
      repeated !== undefined ||
      (isKnown &&
        (before.runOpen || before.generation > before.observedGeneration || hasAnswered(before, report, rule)))
    ) {
      // The process of the first trigger may have crashed before it started or notified the run.
      if (before.runOpen && (!before.runBegun || before.waitingFor !== undefined))
        await reconcilePromotion(ports, id, rule);
      return incremented(before, repeated?.generation ?? before.generation, false);
    }
    const generation = before.generation + 1;
    const next: PromotionRow = {
      ...before,
      generation,
      incrementedAt: now.toISOString(),
      lastTrigger,
      news: news === NO_NEWS ? undefined : news,
      jobs: jobsWith(before, lastTrigger, generation),
      ...(before.runOpen && { coalesced: (before.coalesced ?? 0) + 1 }),
    };
    const row = before.runOpen || ports.paused ? next : withNewRun(next, rule, now, lastTrigger);
    const isWritten = current ? ports.store.replacePromotion(row, current.version) : ports.store.insertPromotion(row);
    if (!(await isWritten)) return undefined;
    if (!before.runOpen && row.runOpen) await startRun(ports, row, rule);
    else if (row.runOpen && row.runId !== undefined) {
      await reconcilePromotion(ports, id, rule);
      await notifyForSource(ports, row.runId);
    }
    return incremented(row, generation, true);
  });
}

/** A row without a run, before its first trigger. */
export function newRow(id: string, rule: Rule, { registry, repository, tag }: TagName, now: Date): PromotionRow {
  const source = { registry, repository, tag };
  return {
    id,
    rule: rule.name,
    source,
    destination: destinationText(rule, source),
    generation: 0,
    observedGeneration: 0,
    incrementedAt: now.toISOString(),
    state: 'working',
    runOpen: false,
    runBegun: false,
    failures: 0,
  };
}

function incremented({ id, runOpen, runId }: PromotionRow, generation: number, isNew: boolean): Incremented {
  return { promotionId: id, generation, isNew, ...(runOpen && runId !== undefined && { runId }) };
}

/**
 * Maximum jobs that a row remembers. A job's activity that is repeated after so many later jobs increments again, which
 * costs one more run.
 */
export const MOST_JOBS = 20;

/** The row's jobs, with the job of this trigger, if it is one. */
function jobsWith({ jobs }: PromotionRow, { kind, id }: TriggerCause, generation: number): PromotionRow['jobs'] {
  return kind === 'job' && id !== undefined ? [...(jobs ?? []), { id, generation }].slice(-MOST_JOBS) : jobs;
}

/** Refusals that may depend on a registry's late answer, or end without a trigger. */
const LOOKED_AT_AGAIN: ReadonlySet<string> = new Set(['EVIDENCE_MISSING', 'RULE_GONE']);

/**
 * True if the row's last run has already answered what the trigger reports, under the current rule. There is nothing to
 * do then. A run that was stopped answers everything that was reported by then.
 */
function hasAnswered({ state, news = NO_NEWS, last }: PromotionRow, { referrer }: TriggerReport, rule: Rule): boolean {
  if (last?.fingerprint !== fingerprint(rule)) return false;
  if (state === 'cancelled') return true;
  const isRefusal = state === 'refused' && !LOOKED_AT_AGAIN.has(last.code ?? '');
  if (state !== 'in_sync' && state !== 'observed' && !isRefusal) return false;
  if (referrer === undefined) return isAnsweredBy(news, last.digest);
  // A run that promotes nothing looks for referrers only if they can change its outcome.
  return news.referrers.some(
    ({ digest, seen, looks }) => digest === referrer && (seen ?? (state !== 'in_sync' && looks === undefined)),
  );
}

/**
 * Closes the row. If a trigger came meanwhile or the tag has moved on, opens the next run. If it is repeated, it finds
 * the next run and makes sure that it is started.
 * @param known both rows as the caller has read them; they are read again only if a write finds them changed
 */
export async function closePromotion(
  ports: RunPorts & { rules: RulesSource },
  id: string,
  runId: string,
  ended: Omit<Answer, 'read'>,
  known: { run?: Versioned<RunRow> | undefined; row?: Versioned<PromotionRow> | undefined } = {},
): Promise<'closed' | 'next' | 'gone'> {
  // If the run's row has ended already, its result counts.
  const { result, run } = await endRunRow(ports, runId, ended.result, known.run);
  // A run that was stopped answers the generation at the time of the request, and nothing later, even if it has read a
  // later one.
  const generation = (result.outcome === 'cancelled' ? run?.cancel?.generation : undefined) ?? ended.generation;
  let knownRow = known.row;
  return untilWritten(id, async (): Promise<'closed' | 'next' | 'gone' | undefined> => {
    const current = knownRow ?? (await ports.store.getPromotion(id));
    knownRow = undefined;
    if (current === undefined) return 'gone';
    const row = current.value;
    if (row.runId !== runId) {
      if (row.previousRunId !== runId) return 'gone';
      const now = await readCurrentRule(ports, row);
      if (now?.rule !== undefined && !(await reconcileRow(ports, current, now.rule))) return undefined;
      return 'next';
    }
    if (!row.runOpen) return 'closed';
    // The schedule ended this run as interrupted although it was alive. The next run finds what it wrote.
    if (result.outcome === 'interrupted') return 'gone';
    const now = ports.now();
    const answer = rowAfterRun(row, runId, { ...ended, generation, result, read: ended.generation }, now);
    const finishedAt = now.toISOString();
    const noted = answer.row;
    if (noted.generation !== generation || !answer.isFinal) {
      const by = await readCurrentRule(ports, row);
      // If the app is paused or the rules cannot be read, the row is closed with `generation` ahead. The schedule opens
      // the next run later.
      if (by?.rule !== undefined && !ports.paused) {
        const coalesced = row.generation === generation ? undefined : row.lastTrigger;
        const trigger: Trigger = { kind: 'follow-up', id: runId, at: finishedAt, coalesced };
        const isOpened = await openNext(ports, { value: noted, version: current.version }, by.rule, trigger);
        return isOpened ? 'next' : undefined;
      }
      if (by !== undefined && by.rule === undefined)
        Object.assign(noted, ruleGone(noted, finishedAt, fingerprint(ended.rule)));
    }
    const closed = closedRow(noted, result);
    return (await ports.store.replacePromotion(closed, current.version)) ? 'closed' : undefined;
  });
}

/**
 * The current rule of the row, or none if it is gone. Undefined if the rules cannot be read; the run can end even then.
 */
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
