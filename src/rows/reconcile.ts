import { ruleHash } from '../rules/fingerprint.js';
import { deadlineMs, type Rule } from '../rules/rule.js';
import { cancelledResult } from './cancellation.js';
import { LOST, endRunRow, isLost } from './end-run.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { Cancellation, RunResult, RunRow } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import type { Versioned } from '../ports/versioned.js';
import { untilWritten } from './until-written.js';
import { startRun, openNext } from './open-run.js';

/** How long an engine instance may be pending before it counts as lost, in milliseconds. */
export const PENDING_MS = 15 * 60_000;
/** How long after its rule's deadline a run may be open, in milliseconds: its first and its last step are waited for a day each. */
export const OVERDUE_MS = 48 * 3_600_000;

/**
 * Holds an open row against the engine: an instance that never came to be is started under the same id; one that is lost,
 * has ended without closing its row, has been pending for too long, or runs for longer than one can, is followed by the next run,
 * and where that is lost as well, has failed; one that waits is woken.
 * Where there is no rule any more, nothing follows, and the row comes to rest.
 * @returns false where another writer was first and the row must be read anew
 */
export async function tendRun(
  ports: RunPorts,
  current: Versioned<PromotionRow>,
  rule: Rule | undefined,
): Promise<boolean> {
  const row = current.value;
  if (!row.runOpen || row.runId === undefined) {
    if (row.wanted <= row.answered) return true;
    if (rule === undefined) return comeToRest(ports, current);
    // Whoever wanted it when it was paused or over the limit.
    const trigger = row.lastTrigger ?? { kind: 'schedule', at: ports.now().toISOString() };
    return ports.paused || (await openNext(ports, current, rule, trigger)) !== undefined;
  }
  const { state, createdAt } = await ports.engine.state(row.runId);
  if (state === 'missing' && !row.runBegun && rule !== undefined) {
    await startRun(ports, row, rule);
    return true;
  }
  const pendingMs = createdAt === undefined ? 0 : ports.now().getTime() - Date.parse(createdAt);
  const isLate = state === 'pending' ? pendingMs > PENDING_MS : await isOverdue(ports, row);
  if (state === 'missing' || state === 'ended' || isLate) {
    const run = (await ports.store.getRun(row.runId))?.value;
    if (run?.cancel === undefined && rule !== undefined && ports.paused) return true;
    // Its own row first, as a run does that closes itself: what leads to it is the promotion's, until that names another, or is at rest.
    const lost = run?.cancel === undefined ? LOST : stoppedResult(run.cancel, run);
    const result = await endRunRow(ports, row.runId, lost);
    if (run !== undefined && result.outcome === 'cancelled') return closeCancelled(ports, current, run, result);
    if (rule === undefined) return comeToRest(ports, current);
    const failed = { value: { ...row, failures: row.failures + 1 }, version: current.version };
    // One that has ended by itself was not lost: the next one finds what it has done.
    if (isLost(result) && isLostAgain(row)) return closeLost(ports, failed, run, result);
    const trigger = { kind: 'retry', id: row.runId, at: ports.now().toISOString() } as const;
    return (await openNext(ports, failed, rule, trigger)) !== undefined;
  }
  if (row.waitingFor !== undefined) await ports.engine.raise(row.runId, row.waitingFor);
  return true;
}

/** True where a run is open for so long that its instance waits for what never comes: a part of it that was lost. */
async function isOverdue(ports: RunPorts, { runId = '', runOpenedAt = '' }: PromotionRow): Promise<boolean> {
  const openMs = ports.now().getTime() - Date.parse(runOpenedAt);
  if (!(openMs > OVERDUE_MS)) return false;
  const input = (await ports.store.getRun(runId))?.value.input;
  return input?.kind === 'promotion' && openMs > OVERDUE_MS + deadlineMs(input.rule);
}

/** True where the run that was lost had followed one that was, and nobody has wanted anything since: more of them would be lost. */
function isLostAgain({ runTrigger, last, absorbed = 0 }: PromotionRow): boolean {
  return absorbed === 0 && (runTrigger?.kind === 'retry' || (last !== undefined && isLost(last)));
}

/** Closes the row of a run that was lost, as a failure: the schedule tries again, with its growing pauses. */
function closeLost(
  ports: RunPorts,
  { value, version }: Versioned<PromotionRow>,
  run: RunRow | undefined,
  result: RunResult,
): Promise<boolean> {
  const { waitingFor: _waited, ...row } = value;
  const finishedAt = ports.now().toISOString();
  const digest = run?.digest;
  const hash = run?.input.kind === 'promotion' ? ruleHash(run.input.rule) : '';
  const last = {
    ...(digest !== undefined && { digest }),
    ...result,
    runId: row.runId ?? '',
    finishedAt,
    ruleHash: hash,
  };
  const since = row.last !== undefined && isLost(row.last) ? (row.since ?? finishedAt) : finishedAt;
  const closed: PromotionRow = { ...row, answered: row.wanted, last, since, runOpen: false, state: 'failed' };
  return ports.store.replacePromotion(closed, version);
}

/** The answer to all that was wanted of a promotion whose rule is gone. */
export function ruleGone(row: PromotionRow, finishedAt: string, hash: string): Pick<PromotionRow, 'answered' | 'last'> {
  const reason = `rule ${row.rule} is gone, no longer takes ${row.source.repository}:${row.source.tag}, or can make no destination of it`;
  const remedy = 'Nothing, where that is meant; otherwise correct the rule, or bring it back.';
  const result = { outcome: 'refused', code: 'RULE_GONE', reason, remedy } as const;
  return { answered: row.wanted, last: { ...result, runId: row.runId ?? '', finishedAt, ruleHash: hash } };
}

/** Closes a row that no rule wants and no run will close; @returns false where another writer was first */
function comeToRest(ports: RunPorts, { value, version }: Versioned<PromotionRow>): Promise<boolean> {
  const { waitingFor: _waited, ...row } = value;
  const gone = ruleGone(row, ports.now().toISOString(), row.last?.ruleHash ?? '');
  return ports.store.replacePromotion({ ...row, ...gone, runOpen: false, state: 'refused' }, version);
}

/** How a run that was to stop ends, where it can't say so itself. */
function stoppedResult(cancel: Cancellation, { digest }: RunRow): RunResult {
  return { ...cancelledResult(cancel), ...(digest !== undefined && { digest }) };
}

/** Closes the row of a run that was to stop and is lost; what was wanted since then is opened at the next look. */
async function closeCancelled(
  ports: RunPorts,
  { value, version }: Versioned<PromotionRow>,
  { id: runId, input, cancel }: RunRow,
  result: RunResult,
): Promise<boolean> {
  const { waitingFor: _waited, ...row } = value;
  const answered = Math.max(row.answered, cancel?.wanted ?? row.wanted);
  const hash = input.kind === 'promotion' ? ruleHash(input.rule) : '';
  const last = { ...result, runId, finishedAt: ports.now().toISOString(), ruleHash: hash };
  const closed: PromotionRow = { ...row, answered, last, runOpen: false, state: 'cancelled' };
  return ports.store.replacePromotion(closed, version);
}

/**
 * What the schedule does with a row that is not at rest: see {@link raiseWanted}, without wanting anything new.
 * @param rule undefined where there is none any more
 */
export async function tendPromotion(ports: RunPorts, id: string, rule: Rule | undefined): Promise<void> {
  await untilWritten(id, async () => {
    const current = await ports.store.getPromotion(id);
    if (current === undefined) return true;
    return (await tendRun(ports, current, rule)) ? true : undefined;
  });
}
