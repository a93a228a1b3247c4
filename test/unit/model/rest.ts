import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import type { World } from '../../support/world.js';
import type { App } from './app.js';
import { WORKER_DIED } from './engine.js';
import type { Known } from './happenings.js';
import type { Watches } from './watches.js';

/** Outcomes that have a result event. */
const TOLD = new Set(['promoted', 'observed', 'refused', 'failed', 'cancelled']);

/** Nothing is open, nothing runs, and what was told is what happened. */
export async function restProblems({ world, engine, watches }: App, known: Known): Promise<string[]> {
  const { store, queues } = world;
  const problems: string[] = engine.open.map(({ id, state }) => `instance ${id} is ${state}`);
  for (const { id, name, error, broken } of engine.instances.values()) {
    // Its activity's workers have died, at every try.
    const isInterrupted = broken === true || error?.message.includes(WORKER_DIED) === true;
    if (error !== undefined && !isInterrupted) problems.push(`${name} ${id} failed: ${error.message}`);
  }
  const told = new Map<string, string>();
  for (const { queue, text } of queues.sent) {
    if (queue.endsWith('-poison') && !known.slept) problems.push(`poison in ${queue}: ${text}`);
    if (queue !== 'promotion-results') continue;
    const event = JSON.parse(text) as { id: string; data: { outcome: string } };
    if ((told.get(event.id) ?? text) !== text) problems.push(`run ${event.id} has two different result events`);
    told.set(event.id, text);
    if (watches.interruptions.runs.has(event.id))
      problems.push(`run ${event.id} has a result event, and was interrupted`);
    const run = (await store.getRun(event.id))?.value;
    if (run === undefined && watches.removedRuns.has(event.id)) continue;
    if (run?.result?.outcome !== event.data.outcome) {
      problems.push(
        `run ${event.id} is told to be ${event.data.outcome}, and is ${run?.result?.outcome} ${run?.result?.code ?? ''}`,
      );
    }
  }
  for (const row of (await store.listPromotions({ size: 100 })).items) {
    if (row.runOpen) problems.push(`promotion ${row.id}: run ${row.runId} is open`);
    if (row.generation > row.observedGeneration)
      problems.push(`promotion ${row.id}: ${row.generation} is wanted, ${row.observedGeneration} answered`);
    // Without its rule, what was wanted since is answered under the run that had ended.
    if (row.last?.code === 'RULE_GONE') continue;
    if (row.last !== undefined && watches.removedRuns.has(row.last.runId)) continue;
    const last = row.last && (await store.getRun(row.last.runId))?.value.result;
    if (row.last !== undefined && row.last.outcome !== last?.outcome) {
      problems.push(
        `promotion ${row.id}: its last run ${row.last.runId} is ${row.last.outcome}, and by itself ${last?.outcome} ${last?.code ?? ''}`,
      );
    }
    if (row.last !== undefined && TOLD.has(row.last.outcome) && !told.has(row.last.runId)) {
      problems.push(`promotion ${row.id}: no result event of run ${row.last.runId}, ${row.last.outcome}`);
    }
    problems.push(...(await copiedInSilence(store, watches, row)));
  }
  let from: string | undefined;
  do {
    const page = await store.listRuns({ size: 100, ...(from !== undefined && { from }) });
    for (const { id, state, promotionId, result } of page.items) {
      if (state !== 'ended') problems.push(`the row of run ${id} is ${state}`);
      // Also of a run that another has followed: no result is lost.
      const isTold = told.has(id) || watches.interruptions.runs.has(id) || !TOLD.has(result?.outcome ?? '');
      if (promotionId !== undefined && !isTold) problems.push(`no result event of run ${id}, ${result?.outcome}`);
    }
    from = page.next;
  } while (from !== undefined);
  return problems;
}

/** What is in sync since a run copied it: that run or a later one has ended as promoted. */
async function copiedInSilence(store: World['store'], watches: Watches, row: PromotionRow): Promise<string[]> {
  // A new row knows nothing of runs before it.
  if (watches.removedPromotions.has(row.id)) return [];
  let outcomes: string[] = [];
  let copied: RunRow | undefined;
  for (const id of watches.opened) {
    const run = (await store.getRun(id))?.value;
    if (run?.input.kind !== 'promotion' || run.input.promotionId !== row.id) continue;
    // A step whose message comes after the run's end has a progress row, and does nothing.
    const endMs = Date.parse(run.finishedAt ?? '');
    const steps = await store.listProgress(id);
    if (steps.some(({ step, startedAt }) => step === 'copy' && Date.parse(startedAt) <= endMs))
      [copied, outcomes] = [run, []];
    outcomes.push(run.result?.outcome ?? '');
  }
  if (row.state !== 'in_sync' || copied?.digest !== row.last?.digest || outcomes.includes('promoted')) return [];
  return [`promotion ${row.id}: run ${copied?.id} copied ${copied?.digest}, and then ${outcomes.join(', ')}`];
}
