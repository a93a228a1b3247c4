import { deadlineMs, type Rule } from '../rules/rule.js';
import { rowAfterRun, closedRow, INTERRUPTED, endRunRow, unconfirmedDigest, type Answer } from './run-end.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { RunResult } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import type { StepProgress } from './step-progress.js';
import type { Versioned } from '../ports/versioned.js';
import { untilWritten } from './row-writes.js';
import { startRun, openNext } from './open-run.js';

/**
 * How long a run may be pending, or silent outside of a wait, before the schedule records that it is silent, in
 * milliseconds. It is as long as an activity may hang.
 */
export const SILENT_MS = 10 * 60_000;
/**
 * How long after that record a run that stays silent counts as orphaned, in milliseconds. After an outage of the whole
 * app, its runs get this time to continue.
 */
export const ORPHANED_AFTER_MS = 5 * 60_000;
/** The longest time that a step waits for a permit, in milliseconds. */
const LONGEST_TURN_MS = 15 * 60_000;
/**
 * How long a run may be open after its rule's deadline, in milliseconds: its first and its last step may each wait a
 * day.
 */
export const OVERDUE_MS = 48 * 3_600_000;

/**
 * Compares an open row with the engine and corrects it:
 * - An instance that was never created is started under the same id.
 * - A run whose instance is gone, has ended without closing its row, or has been pending or silent for too long, is
 * followed by the next run. After three such runs in a row without progress, the promotion fails.
 * - A run that waits for evidence is notified, unless `notifies` is false.
 * - If the rule is gone, no run follows and the row is closed.
 * @returns false if another writer was first and the row must be read again
 */
export async function reconcileRow(
  ports: RunPorts,
  current: Versioned<PromotionRow>,
  rule: Rule | undefined,
  { notifies = true }: { notifies?: boolean } = {},
): Promise<boolean> {
  const row = current.value;
  if (!row.runOpen || row.runId === undefined) {
    if (row.generation <= row.observedGeneration) return true;
    if (rule === undefined) return closeWithoutRule(ports, current);
    // The trigger came while the app was paused or the tick's limit was reached.
    const trigger = row.lastTrigger ?? { kind: 'schedule', at: ports.now().toISOString() };
    return ports.paused || openNext(ports, current, rule, trigger);
  }
  const { state, createdAt } = await ports.engine.state(row.runId);
  if (state === 'missing' && !row.runBegun && rule !== undefined) {
    await startRun(ports, row, rule);
    return true;
  }
  const isGone = state === 'missing' || state === 'ended';
  const silentSinceMs = isGone ? undefined : await silentSince(ports, row, state === 'pending' ? createdAt : undefined);
  if (silentSinceMs !== undefined && !wasNotedAsSilent(row, silentSinceMs)) {
    const silent = { runId: row.runId, at: ports.now().toISOString() };
    return ports.store.replacePromotion({ ...row, silent }, current.version);
  }
  if (isGone || (silentSinceMs !== undefined && isSilentForGood(ports, row)) || (await isOverdue(ports, row)))
    return replaceOrphaned(ports, current, row.runId, rule);
  if (notifies && row.waitingFor !== undefined) await ports.engine.notify(row.runId, row.waitingFor);
  return true;
}

/**
 * Since when a run has been silent outside of a wait that it reported (epoch milliseconds): an activity hangs, or part
 * of its instance was lost. Undefined if that is not long ago.
 * @param createdAt of an instance that is pending, so that none of its steps has begun
 */
async function silentSince(
  ports: RunPorts,
  { runId = '', runOpenedAt = '' }: PromotionRow,
  createdAt: string | undefined,
): Promise<number | undefined> {
  const isLong = (sinceMs: number): boolean => ports.now().getTime() - sinceMs > SILENT_MS;
  const openedMs = Date.parse(createdAt ?? runOpenedAt);
  if (!isLong(openedMs)) return undefined;
  if (createdAt !== undefined) return openedMs;
  const steps = await ports.store.listProgress(runId);
  const lastMs = Math.max(openedMs, ...steps.map(livesUntilMs));
  return isLong(lastMs) ? lastMs : undefined;
}

/** True if the schedule has found the run silent since its last sign of life. */
function wasNotedAsSilent({ runId, silent }: PromotionRow, silentSinceMs: number): boolean {
  return silent !== undefined && silent.runId === runId && Date.parse(silent.at) > silentSinceMs;
}

function isSilentForGood(ports: RunPorts, { silent }: PromotionRow): boolean {
  return silent !== undefined && ports.now().getTime() - Date.parse(silent.at) >= ORPHANED_AFTER_MS;
}

/** True if a run has been open for longer than any run may be, whatever it reports. */
async function isOverdue(ports: RunPorts, { runId = '', runOpenedAt = '' }: PromotionRow): Promise<boolean> {
  const openMs = ports.now().getTime() - Date.parse(runOpenedAt);
  if (!(openMs > OVERDUE_MS)) return false;
  const input = (await ports.store.getRun(runId))?.value.input;
  return input?.kind === 'promotion' && openMs > OVERDUE_MS + deadlineMs(input.rule);
}

/** Until when a progress row shows that its run is alive: its time of writing, or the time of the next call. */
function livesUntilMs({ state, updatedAt, waitsFor }: StepProgress): number {
  const writtenMs = Date.parse(updatedAt);
  if (state !== 'waiting') return writtenMs;
  return waitsFor === undefined ? writtenMs + LONGEST_TURN_MS : Date.parse(waitsFor.nextAt);
}

/** Interrupted runs in a row, without a trigger or progress, after which the promotion fails. */
const MOST_INTERRUPTED = 3;

/**
 * Ends a run that will not close its promotion, and opens the next one. If the run's own row has ended already, closes
 * the promotion with that result.
 * @returns false if another writer was first and the row must be read again
 */
async function replaceOrphaned(
  ports: RunPorts,
  current: Versioned<PromotionRow>,
  runId: string,
  rule: Rule | undefined,
): Promise<boolean> {
  const row = current.value;
  const cancel = (await ports.store.getRun(runId))?.value.cancel;
  if (cancel === undefined && rule !== undefined && ports.paused) return true;
  // End the run's own row first, in the same order as a run that closes itself. The promotion's row leads to the run
  // until it names the next run or is closed.
  const steps = await ports.store.listProgress(runId);
  const interrupted = countInterrupted(row, steps);
  const isFailure = interrupted.times >= MOST_INTERRUPTED && rule !== undefined;
  const { result, run } = await endRunRow(ports, runId, isFailure ? LOST : INTERRUPTED);
  const known = { ...current, value: { ...row, unconfirmed: unconfirmedDigest(run, steps) ?? row.unconfirmed } };
  const answers = run?.input.kind === 'promotion' ? run.input.rule : undefined;
  // If a trigger came after the request to stop, the next tick opens a run for it.
  if (run !== undefined && answers !== undefined && result.outcome === 'cancelled') {
    const generation = Math.max(row.observedGeneration, run.cancel?.generation ?? row.generation);
    return closeAs(ports, known, rowAfter(ports, known.value, { generation, result, rule: answers }), result);
  }
  if (rule === undefined) return closeWithoutRule(ports, known);
  const isLost = result.code === LOST.code;
  if (isLost && isFailure) {
    const lost = { ...result, digest: run?.digest };
    const answer = { generation: row.generation, result: lost, rule: answers ?? rule };
    return closeAs(ports, known, rowAfter(ports, known.value, answer), lost);
  }
  // The run was already ended as interrupted and has closed since. Triggers that came after that get a run of their
  // own.
  if (!isLost && result.outcome !== 'interrupted' && run !== undefined && answers !== undefined) {
    const generation = run.generation ?? row.generation;
    const answer = rowAfter(ports, known.value, { generation, result, rule: answers });
    // If the app is paused, the row is closed with `generation` ahead. The schedule opens the next run later.
    if (ports.paused || (answer.isFinal && answer.row.generation === generation))
      return closeAs(ports, known, answer, result);
    const trigger = { kind: 'follow-up', id: runId, at: ports.now().toISOString() } as const;
    return openNext(ports, { ...known, value: answer.row }, rule, trigger);
  }
  const trigger = { kind: 'retry', id: runId, at: ports.now().toISOString() } as const;
  return openNext(ports, { ...known, value: { ...known.value, interrupted } }, rule, trigger);
}

type After = ReturnType<typeof rowAfterRun>;

/** The row with the result of its orphaned run. */
function rowAfter(ports: RunPorts, row: PromotionRow, answer: Pick<Answer, 'generation' | 'result' | 'rule'>): After {
  return rowAfterRun(row, row.runId ?? '', { ...answer, read: answer.generation }, ports.now());
}

function closeAs(
  { store }: RunPorts,
  { version }: Versioned<PromotionRow>,
  { row }: After,
  result: RunResult,
): Promise<boolean> {
  return store.replacePromotion(closedRow(row, result), version);
}

/**
 * Counts interrupted runs in a row, including this one. A trigger, or a run with more progress than those before it,
 * restarts the count.
 */
function countInterrupted(
  { generation, interrupted }: PromotionRow,
  progress: readonly StepProgress[],
): NonNullable<PromotionRow['interrupted']> {
  const steps = progress.filter((step) => step.state === 'done').length;
  const bytes = progress.find(({ step }) => step === 'copy')?.doneBytes ?? 0;
  const before = interrupted?.generation === generation ? interrupted : undefined;
  const isFurther = before === undefined || steps > before.steps || bytes > before.bytes;
  return {
    times: isFurther ? 1 : before.times + 1,
    generation,
    steps: Math.max(steps, before?.steps ?? 0),
    bytes: Math.max(bytes, before?.bytes ?? 0),
  };
}

const LOST: RunResult = {
  outcome: 'failed',
  code: 'RUN_LOST',
  reason: `${MOST_INTERRUPTED} runs in a row were interrupted, and none got further than the one before`,
  remedy:
    'Check the log of the host for the reason. The schedule retries with growing pauses; the next push also starts a run.',
};

/** Closes a promotion whose rule is gone, and answers all its triggers. */
export function ruleGone(
  row: PromotionRow,
  finishedAt: string,
  hash: string,
): Pick<PromotionRow, 'observedGeneration' | 'last'> {
  const reason = `rule ${row.rule} is gone, no longer matches ${row.source.repository}:${row.source.tag}, or has no valid destination for it`;
  const remedy = 'If the rule was changed on purpose, do nothing. Otherwise correct or restore the rule.';
  const result = { outcome: 'refused', code: 'RULE_GONE', reason, remedy } as const;
  return {
    observedGeneration: row.generation,
    last: { ...result, runId: row.runId ?? '', finishedAt, fingerprint: hash },
  };
}

/**
 * Closes a row that has no open run and that no rule matches.
 * @returns false if another writer was first
 */
function closeWithoutRule(ports: RunPorts, { value, version }: Versioned<PromotionRow>): Promise<boolean> {
  const gone = ruleGone(value, ports.now().toISOString(), value.last?.fingerprint ?? '');
  const row: PromotionRow = { ...value, waitingFor: undefined, ...gone, runOpen: false, state: 'refused' };
  return ports.store.replacePromotion(row, version);
}

/**
 * What the schedule does with a row that has an open run or an unanswered trigger. Does not increment `generation`.
 * @param rule undefined if it is gone
 * @param options.notifies false if a run that waits for evidence is not notified
 */
export async function reconcilePromotion(
  ports: RunPorts,
  id: string,
  rule: Rule | undefined,
  options: { notifies?: boolean } = {},
): Promise<void> {
  await untilWritten(id, async () => {
    const current = await ports.store.getPromotion(id);
    if (current === undefined) return true;
    return (await reconcileRow(ports, current, rule, options)) ? true : undefined;
  });
}
