import { cancelledResult } from './cancellation.js';
import type { PromotionRow } from './promotion-row.js';
import type { RunResult, RunRow } from './run-row.js';

/**
 * The pauses before the run that follows one that was superseded, in milliseconds, where no event reported the move of the tag: the first
 * may be an event that is late. One more, and it is a failure: the schedule tries again, with its own pauses.
 */
const PAUSES_MS = [0, 10_000, 60_000] as const;

/** How a run ends, seen together with those before it; or how long it waits before it does. */
export type Ending = { result: RunResult } | { pauseMs: number };

/**
 * What a run's end comes to. `superseded` over and over, with nothing wanted in between, is no tag that moves, but a registry whose
 * answers disagree: paced, and then a failure. An `unchanged` that finds what a run before has put, and could not see, is that
 * one's `promoted`.
 * @param wanted what the run has read
 * @param waitedMs how long its close has waited so far
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
  if (run.cancel !== undefined) return { result: cancelledResult(run.cancel) };
  const times = timesSuperseded(row, generation);
  const pauseMs = times === 0 ? 0 : PAUSES_MS[times - 1];
  if (pauseMs === undefined) return { result: unsettled(row, times) };
  return waitedMs < pauseMs ? { pauseMs: pauseMs - waitedMs } : { result };
}

/** How often in a row runs were superseded, this one counted, and nothing was wanted meanwhile; 0 where something was. */
function timesSuperseded(row: PromotionRow, generation: number): number {
  if (row.generation !== generation) return 0;
  return (row.superseded?.generation === generation ? row.superseded.times : 0) + 1;
}

/** Without a digest: which one it is isn't known, and so none is news to the schedule. */
function unsettled({ source: { registry, repository, tag } }: PromotionRow, times: number): RunResult {
  return {
    outcome: 'failed',
    code: 'TAG_UNSETTLED',
    reason: `${registry}/${repository}:${tag} was another digest than just before, ${times} runs in a row, and no event reported a push`,
    remedy:
      'Look at the registry, and at proxies and replicas before it: they give different answers. The schedule tries again; so does the next push.',
  };
}

function confirmed(row: PromotionRow, result: RunResult): RunResult {
  if (row.unconfirmed === undefined || row.unconfirmed !== result.digest) return result;
  return { ...result, outcome: 'promoted', reason: 'a run before brought it there, and could not say so' };
}

/** What the row keeps of it for the runs that follow. @param wanted what the run has read */
export function keptOf(
  row: PromotionRow,
  result: RunResult,
  generation: number,
): Pick<PromotionRow, 'superseded' | 'unconfirmed'> {
  const { unconfirmed } = row;
  if (result.outcome === 'superseded') {
    const times = timesSuperseded(row, generation);
    return {
      ...(times > 0 && { superseded: { times, generation } }),
      ...(unconfirmed !== undefined && { unconfirmed }),
    };
  }
  // Written, and it did not read back.
  const put = result.code === 'TAG_LOST' ? result.digest : unconfirmed;
  const isOver = result.outcome === 'promoted' || result.outcome === 'unchanged';
  return put === undefined || isOver ? {} : { unconfirmed: put };
}
