import { fingerprint, type Rule } from '../rules/rule.js';
import { NO_NEWS, answered as answeredNews, isAnsweredBy, lookedFor, type Looked, type News } from './news.js';
import type { PromotionRow, PromotionState } from './promotion-row.js';
import type { RunResult, RunRow } from './run-row.js';
import type { StepProgress } from './step-progress.js';
import { cancelledResult } from './cancellation.js';
import { failurePauseMs } from '../rules/decide.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { Runs } from '../ports/runs.js';
import type { Versioned } from '../ports/versioned.js';
import { changeRun } from './row-writes.js';

const STATES: Record<RunResult['outcome'], PromotionState> = {
  promoted: 'in_sync',
  unchanged: 'in_sync',
  completed: 'in_sync',
  observed: 'observed',
  superseded: 'working',
  refused: 'refused',
  failed: 'failed',
  cancelled: 'cancelled',
  interrupted: 'working',
};

/** An `unchanged` after a `promoted` of the same digest keeps the time. */
function sinceOf({ since, last }: PromotionRow, result: RunResult, finishedAt: string): string {
  const same = last !== undefined && STATES[last.outcome] === STATES[result.outcome] && last.digest === result.digest;
  return same && last.code === result.code ? (since ?? last.finishedAt) : finishedAt;
}

/** A promotion's row with the answer of its run. The row is not closed yet and has no next run. */
export function rowAfterRun(
  row: PromotionRow,
  runId: string,
  { generation, read, result, rule, looked, unconfirmed = row.unconfirmed }: Answer,
  now: Date,
): { row: PromotionRow; isFinal: boolean } {
  const finishedAt = now.toISOString();
  const isFinal = result.outcome !== 'superseded';
  const failures = result.outcome === 'failed' ? row.failures + 1 : isFinal ? 0 : row.failures;
  const news = isFinal ? newsAfter(row, result, now) : row.news;
  const after: PromotionRow = {
    ...row,
    waitingFor: undefined,
    silent: undefined,
    interrupted: undefined,
    news: news && looked ? lookedFor(news, looked) : news,
    ...keptOf(row, unconfirmed, result, read),
    failures,
    retryAt: retryAtOf(rule, result, failures, now),
    ...(isFinal && {
      observedGeneration: generation,
      since: sinceOf(row, result, finishedAt),
      last: { ...result, runId, finishedAt, fingerprint: fingerprint(rule) },
    }),
  };
  if (isFinal && hasMissed(after, result)) after.generation += 1;
  return { row: after, isFinal };
}

/** What a run answers. */
export interface Answer {
  /** The generation that the run answers. `read` is the one that the run has read. */
  generation: number;
  read: number;
  result: RunResult;
  rule: Rule;
  /** Referrers that triggers reported, if the run looked for them. */
  looked?: Looked | undefined;
  /** See `unconfirmedDigest`. */
  unconfirmed?: string | undefined;
}

/** The news after a final run. What the final run before it saw under the tag counts as replaced. */
function newsAfter({ news, last }: PromotionRow, { digest }: RunResult, now: Date): News | undefined {
  if (digest === undefined) return news;
  if (news === undefined && (last?.digest === undefined || last.digest === digest)) return undefined;
  return answeredNews(news ?? NO_NEWS, last?.digest, digest, now);
}

/**
 * Outcomes that are valid for the digest that the run saw. After `failed`, the schedule tries again; `cancelled` was
 * requested by somebody.
 */
const ANSWERS: ReadonlySet<RunResult['outcome']> = new Set(['promoted', 'unchanged', 'observed', 'refused']);

/**
 * True if the run saw another digest than triggers reported, and did not wait for that digest. The next run promotes
 * it.
 */
function hasMissed({ news }: PromotionRow, { outcome, digest }: RunResult): boolean {
  return news !== undefined && digest !== undefined && ANSWERS.has(outcome) && !isAnsweredBy(news, digest);
}

/**
 * The closed row.
 * @param result of the run; `last` has the same result if it was final
 */
export function closedRow(row: PromotionRow, result: RunResult): PromotionRow {
  const { outcome } = row.last?.runId === row.runId && row.last !== undefined ? row.last : result;
  return { ...row, runOpen: false, state: STATES[outcome] };
}

/**
 * The pause before the next run after a superseded one, in milliseconds, if no event reported that the tag moved. The
 * first pause is 0, because the event may only be late. After the last pause the promotion fails, and the schedule
 * tries again with its own pauses.
 */
const PAUSES_MS = [0, 10_000, 60_000] as const;

/** The final result of a run, compared with the runs before it, or the pause before it ends. */
export type Ending = { result: RunResult } | { pauseMs: number };

/**
 * Compares the result of a run with those of the runs before it. If runs are `superseded` again and again without a
 * trigger, the registry gives different answers: the next runs are delayed, and in the end the promotion fails. If an
 * `unchanged` run finds what an earlier run wrote without a result event, it becomes `promoted`.
 * @param generation the one that the run has read
 * @param waitedMs how long the close of the run has waited so far
 */
export function endingOf(
  {
    row,
    run,
    generation,
    waitedMs,
  }: { row: PromotionRow | undefined; run: RunRow; generation: number; waitedMs: number },
  result: RunResult,
): Ending {
  if (result.outcome !== 'superseded' && result.outcome !== 'unchanged') return { result };
  if (row?.runId !== run.id || !row.runOpen || run.state === 'ended') return { result };
  if (result.outcome === 'unchanged') return { result: confirmed(row, result) };
  const times = timesSuperseded(row, generation);
  const pauseMs = times === 0 ? 0 : PAUSES_MS[times - 1];
  if (pauseMs === undefined) return { result: unsettled(row, times) };
  return waitedMs < pauseMs ? { pauseMs: pauseMs - waitedMs } : { result };
}

/** Superseded runs in a row, including this one, without a trigger. 0 if a trigger came meanwhile. */
function timesSuperseded(row: Pick<PromotionRow, 'generation' | 'superseded'>, generation: number): number {
  if (row.generation !== generation) return 0;
  return (row.superseded?.generation === generation ? row.superseded.times : 0) + 1;
}

/** The result has no digest, because it is unknown which one is current. */
function unsettled({ source: { registry, repository, tag } }: PromotionRow, times: number): RunResult {
  return {
    outcome: 'failed',
    code: 'TAG_UNSETTLED',
    reason: `${registry}/${repository}:${tag} had another digest in each of ${times} runs in a row, and no event reported a push`,
    remedy:
      'Check the registry, and any proxies and replicas in front of it: they give different answers. The schedule retries; the next push also starts a run.',
  };
}

function confirmed(row: PromotionRow, result: RunResult): RunResult {
  if (row.unconfirmed === undefined || row.unconfirmed !== result.digest) return result;
  return {
    ...result,
    outcome: 'promoted',
    reason: 'an earlier run copied it, but did not end as promoted',
  };
}

/**
 * The fields that the next runs need.
 * @param generation the one that the run has read
 */
function keptOf(
  row: PromotionRow,
  unconfirmed: string | undefined,
  result: RunResult,
  generation: number,
): Pick<PromotionRow, 'superseded' | 'unconfirmed'> {
  if (result.outcome === 'superseded') {
    const times = timesSuperseded(row, generation);
    return { superseded: times > 0 ? { times, generation } : undefined, unconfirmed };
  }
  const isConfirmed = result.outcome === 'promoted' || result.outcome === 'unchanged';
  return { superseded: undefined, unconfirmed: isConfirmed ? undefined : unconfirmed };
}

/** Steps that write to the destination. */
const WRITES: ReadonlySet<string> = new Set(['copy', 'tagDestination']);

/**
 * The digest of a run that did not succeed, if the run may have written to the destination. The next run that finds the
 * digest there sends the result event.
 * @param steps of the run
 */
export function unconfirmedDigest(
  run: Pick<RunRow, 'digest'> | undefined,
  steps: readonly StepProgress[],
): string | undefined {
  return steps.some(({ step }) => WRITES.has(step)) ? run?.digest : undefined;
}

/**
 * When the schedule tries a failed promotion again: after 5 minutes, doubled with each failure in a row, at most a day.
 * @returns RFC 3339; undefined if the run did not fail, if its rule has no schedule, or if its tag is gone (a scan
 * finds it when it returns)
 */
function retryAtOf(rule: Rule, result: RunResult, failures: number, now: Date): string | undefined {
  if (result.outcome !== 'failed' || result.code === 'SOURCE_GONE' || !rule.triggers.includes('schedule'))
    return undefined;
  return new Date(now.getTime() + failurePauseMs(failures)).toISOString();
}

/** The result of a run whose orchestration is gone or ended without closing its promotion. */
export const INTERRUPTED: RunResult = {
  outcome: 'interrupted',
  reason: 'its orchestration is gone or ended early, for example because a worker died or a host stopped',
  remedy: 'No action needed: the next run uses what is already copied.',
};

/**
 * Ends the run's own row. Can be repeated; the first result counts.
 * @param known the row, if it was just read
 * @returns the result in the row, and the row if there is one
 */
export async function endRunRow(
  ports: { store: Runs } & Pick<RunPorts, 'now'>,
  runId: string,
  result: RunResult,
  known?: Versioned<RunRow>,
): Promise<{ result: RunResult; run: RunRow | undefined }> {
  const end = (row: RunRow): RunRow | undefined =>
    row.state === 'ended'
      ? undefined
      : { ...row, state: 'ended', finishedAt: ports.now().toISOString(), result: asStopped(row, result) };
  const run = await changeRun(ports.store, runId, end, known);
  return { result: run?.result ?? result, run };
}

/**
 * A run that was asked to stop ends as `cancelled` instead of a result that would start another run. The request may
 * come after the caller has read the row.
 */
export function asStopped({ cancel, digest }: RunRow, result: RunResult): RunResult {
  if (cancel === undefined) return result;
  if (result.outcome === 'superseded') return cancelledResult(cancel);
  if (result.outcome !== 'interrupted' && result.code !== 'RUN_LOST') return result;
  return { ...cancelledResult(cancel), digest };
}
