import { randomBytes } from 'node:crypto';
import { destinationOf, type TagName } from '../rules/match.js';
import { deadlineMs, type Rule } from '../rules/rule.js';
import { formatReference } from '../oci/index.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { Trigger } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import type { Versioned } from '../ports/versioned.js';

const LATEST_MS = 2 ** 48 - 1;
const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;
const RANDOM_CHARACTERS = 16;

/**
 * Makes a run id of 27 characters: a time that sorts newest first, a dash, and 80 random bits, both in base 32. It fits
 * a table key, an engine's instance id and a URL.
 * @param nowMs epoch milliseconds, from 0 to the year 10889
 */
export function newRunId(nowMs: number): string {
  const random = BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`);
  return `${invertedTime(nowMs)}-${random.toString(32).padStart(RANDOM_CHARACTERS, '0')}`;
}

/**
 * A time as ten characters that sort newest first.
 * @param ms epoch milliseconds; a value outside the range becomes its nearest limit
 */
export function invertedTime(ms: number): string {
  const left = LATEST_MS - Math.min(Math.max(Math.trunc(ms) || 0, 0), LATEST_MS);
  return left.toString(32).padStart(TIME_CHARACTERS, '0');
}

/** The row with its next run, which follows the given rule. */
export function withNewRun(row: PromotionRow, rule: Rule, now: Date, trigger: Trigger): PromotionRow {
  return {
    ...row,
    destination: destinationText(rule, row.source),
    state: 'working',
    previousRunId: row.runId,
    runId: newRunId(now.getTime()),
    runOpen: true,
    runOpenedAt: now.toISOString(),
    runBegun: false,
    runTrigger: trigger,
    coalesced: undefined,
    waitingFor: undefined,
    silent: undefined,
  };
}

/** Writes the run's row unless it exists, then starts the orchestration with the run's id. Can be repeated. */
export async function startRun(ports: RunPorts, row: PromotionRow, rule: Rule): Promise<void> {
  if (row.runId === undefined) return;
  const { id: promotionId, runId, source, destination, runTrigger: trigger } = row;
  await ports.store.insertRun({
    id: runId,
    state: 'pending',
    openedAt: row.runOpenedAt ?? ports.now().toISOString(),
    trigger,
    input: { kind: 'promotion', runId, promotionId, rule, source, destination },
  });
  await ports.engine.start('promote', runId, { promotionId, runId, deadlineMs: deadlineMs(rule) });
}

/** Opens the next run of a promotion. @returns false if another writer was first */
export async function openNext(
  ports: RunPorts,
  current: Versioned<PromotionRow>,
  rule: Rule,
  trigger: Trigger,
): Promise<boolean> {
  const next = withNewRun(current.value, rule, ports.now(), trigger);
  if (!(await ports.store.replacePromotion(next, current.version))) return false;
  await startRun(ports, next, rule);
  return true;
}

export function destinationText(rule: Rule, source: TagName): string {
  return formatReference(destinationOf(rule, source));
}
