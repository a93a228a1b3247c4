import { destinationOf } from '../rules/destination.js';
import type { TagName } from '../rules/match.js';
import { deadlineMs, type Rule } from '../rules/rule.js';
import { formatReference } from '../oci/index.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { Trigger } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import type { Versioned } from '../ports/versioned.js';
import { newRunId } from './run-id.js';

export function withNewRun(row: PromotionRow, now: Date, trigger: Trigger): PromotionRow {
  const { waitingFor: _waited, silent: _silent, coalesced: _before, runId: previousRunId, ...rest } = row;
  return {
    ...rest,
    state: 'working',
    runId: newRunId(now.getTime()),
    runOpen: true,
    runOpenedAt: now.toISOString(),
    runBegun: false,
    runTrigger: trigger,
    ...(previousRunId !== undefined && { previousRunId }),
  };
}

/** Writes the run's row unless it exists, then starts the engine with the run's id. Both can be done twice. */
export async function startRun(ports: RunPorts, row: PromotionRow, rule: Rule): Promise<void> {
  if (row.runId === undefined) return;
  await ports.store.insertRun({
    id: row.runId,
    state: 'pending',
    openedAt: row.runOpenedAt ?? ports.now().toISOString(),
    ...(row.runTrigger !== undefined && { trigger: row.runTrigger }),
    input: {
      kind: 'promotion',
      runId: row.runId,
      promotionId: row.id,
      rule,
      source: row.source,
      destination: row.destination,
    },
  });
  const input = { promotionId: row.id, runId: row.runId, deadlineMs: deadlineMs(rule) };
  await ports.engine.start('promote', row.runId, input);
}

/** Opens the next run, after a lost one or a pause; undefined where another writer was first. */
export async function openNext(
  ports: RunPorts,
  current: Versioned<PromotionRow>,
  rule: Rule,
  trigger: Trigger,
): Promise<PromotionRow | undefined> {
  const { value: row } = current;
  const next = { ...withNewRun(row, ports.now(), trigger), destination: destinationText(rule, row.source) };
  if (!(await ports.store.replacePromotion(next, current.version))) return undefined;
  await startRun(ports, next, rule);
  return next;
}

export function destinationText(rule: Rule, source: TagName): string {
  return formatReference(destinationOf(rule, source));
}
