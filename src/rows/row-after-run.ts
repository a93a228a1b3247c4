import { fingerprint } from '../rules/fingerprint.js';
import type { Rule } from '../rules/rule.js';
import { keptOf } from './ending.js';
import { NO_NEWS, answered as answeredNews, isAnsweredBy, lookedFor, type Looked, type News } from './news.js';
import { retryAtOf } from './retry-at.js';
import type { PromotionRow, PromotionState } from './promotion-row.js';
import type { RunResult } from './run-row.js';

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

/** An `unchanged` after a `promoted` of the same digest changes nothing. */
function sinceOf({ since, last }: PromotionRow, result: RunResult, finishedAt: string): string {
  const same = last !== undefined && STATES[last.outcome] === STATES[result.outcome] && last.digest === result.digest;
  return same && last.code === result.code ? (since ?? last.finishedAt) : finishedAt;
}

/**
 * A promotion's row with what its run has answered; it is neither closed yet, nor has the next run.
 * @param answered.wanted the generation that is answered @param answered.read the one that the run has read
 */
export function rowAfterRun(
  row: PromotionRow,
  runId: string,
  { generation, read, result, rule, looked }: Answer,
  now: Date,
): { row: PromotionRow; isFinal: boolean } {
  const finishedAt = now.toISOString();
  const isFinal = result.outcome !== 'superseded';
  const failures = result.outcome === 'failed' ? row.failures + 1 : isFinal ? 0 : row.failures;
  const {
    waitingFor: _waited,
    silent: _silent,
    superseded: _before,
    unconfirmed: _put,
    interrupted: _times,
    retryAt: _again,
    ...rest
  } = row;
  const retryAt = retryAtOf(rule, result, failures, now);
  const known = isFinal ? newsAfter(row, result, now) : row.news;
  const news = known === undefined || looked === undefined ? known : lookedFor(known, looked);
  const after: PromotionRow = {
    ...rest,
    ...(news !== undefined && { news }),
    ...keptOf(row, result, read),
    failures,
    ...(retryAt !== undefined && { retryAt }),
    ...(isFinal && { observedGeneration: generation, since: sinceOf(row, result, finishedAt) }),
    ...(isFinal && { last: { ...result, runId, finishedAt, fingerprint: fingerprint(rule) } }),
  };
  if (isFinal && hasMissed(after, result)) after.generation += 1;
  return { row: after, isFinal };
}

/** What a run answers. */
interface Answer {
  /** The generation that is answered, and the one that the run has read. */
  generation: number;
  read: number;
  result: RunResult;
  rule: Rule;
  /** Referrers that triggers have named, if the run looked for them. */
  looked?: Looked | undefined;
}

/** What the last final run saw under the tag before this one is no longer there. */
function newsAfter({ news, last }: PromotionRow, { digest }: RunResult, now: Date): News | undefined {
  if (digest === undefined) return news;
  if (news === undefined && (last?.digest === undefined || last.digest === digest)) return undefined;
  return answeredNews(news ?? NO_NEWS, last?.digest, digest, now);
}

/** Outcomes that stand for what the tag was; after any other the schedule tries again, or somebody has stopped it. */
const ANSWERS: ReadonlySet<RunResult['outcome']> = new Set(['promoted', 'unchanged', 'observed', 'refused']);

/** True if the run saw another digest than the row's triggers named last, and did not wait for that: the next run does. */
function hasMissed({ news }: PromotionRow, { outcome, digest }: RunResult): boolean {
  return news !== undefined && digest !== undefined && ANSWERS.has(outcome) && !isAnsweredBy(news, digest);
}

/** The row at rest. @param result of the run, which is the row's last one if it was final */
export function closedRow(row: PromotionRow, result: RunResult): PromotionRow {
  const { outcome } = row.last?.runId === row.runId && row.last !== undefined ? row.last : result;
  return { ...row, runOpen: false, state: STATES[outcome] };
}
