import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { RunRow } from '../../../src/rows/run-row.js';

// A run whose orchestration is gone, or ended without closing it:
// - It ends as `interrupted`. No result event is sent, it is not a failure, and it does not answer its promotion.
// - The third one in a row without a trigger ends as `failed`, RUN_LOST, and no earlier one does.
// - A promotion's state is the one of its last run, also if that run had ended itself before its promotion was closed. Only a run that was
//   superseded while the schedule is paused leaves the promotion `working`, with its generation ahead.

/** Interrupted runs in a row of which the last one has failed. */
const MOST_IN_ROW = 3;

/** The outcome of a run that was interrupted; the rows do not have it yet. */
const INTERRUPTED: string = 'interrupted';

/** The state of a promotion by the outcome of the run that was closed. */
const STATES: Record<string, string> = {
  superseded: 'working',
  promoted: 'in_sync',
  unchanged: 'in_sync',
  observed: 'observed',
  refused: 'refused',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** Looks at each write of a promotion's row. */
export class Interruptions {
  /** What is not as it is to be. */
  readonly problems = new Set<string>();
  /** Runs that were interrupted. */
  readonly runs = new Set<string>();
  /** By promotion: runs that were interrupted in a row, and what was wanted when the present run was opened. */
  readonly #inRow = new Map<string, number>();
  readonly #generation = new Map<string, number>();

  /** @param run the one that the row named before */
  changes(before: PromotionRow, row: PromotionRow, run: RunRow | undefined): void {
    const { id, last, state } = row;
    const isOver = before.runOpen && (!row.runOpen || row.runId !== before.runId);
    if (isOver && run !== undefined) this.#ended(id, before.generation, run);
    if (row.runId !== before.runId) this.#generation.set(id, row.generation);
    if (last?.outcome === INTERRUPTED)
      this.problems.add(`promotion ${id} is answered by run ${last.runId}: interrupted`);
    const outcome = last?.runId === before.runId ? last?.outcome : run?.result?.outcome;
    if (isOver && !row.runOpen && outcome !== undefined && STATES[outcome] !== state)
      this.problems.add(`promotion ${id} is ${state}, and its last run is ${outcome}`);
    if (!row.runOpen && state === 'working' && row.generation <= row.observedGeneration)
      this.problems.add(`promotion ${id} is working, and nothing is left to do`);
    if (run?.result?.outcome === INTERRUPTED && row.failures > before.failures)
      this.problems.add(`promotion ${id} counts a failure: run ${run.id} was interrupted`);
  }

  #ended(id: string, generation: number, { id: runId, result, trigger }: RunRow): void {
    const isInterrupted = result?.outcome === INTERRUPTED;
    const isLost = result?.code === 'RUN_LOST';
    if (isInterrupted) this.runs.add(runId);
    const isAsked = trigger?.kind !== 'retry' || generation > (this.#generation.get(id) ?? 0);
    const inRow = isInterrupted || isLost ? (isAsked ? 0 : (this.#inRow.get(id) ?? 0)) + 1 : 0;
    this.#inRow.set(id, inRow);
    if (isLost && inRow < MOST_IN_ROW)
      this.problems.add(`run ${runId} has failed, RUN_LOST, after ${inRow - 1} in a row that were interrupted`);
  }
}
