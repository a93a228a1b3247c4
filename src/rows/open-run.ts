import { randomBytes } from 'node:crypto';
import { destinationOf, type TagName } from '../rules/match.js';
import { deadlineMs, type Rule } from '../rules/rule.js';
import { formatReference } from '../oci/index.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { Trigger } from './run-row.js';
import type { PromotionRow } from './promotion-row.js';
import type { Versioned } from '../ports/versioned.js';

/** Crockford's base 32: its characters ascend in ASCII, so text sorts in the same order as the numbers. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const LATEST_MS = 2 ** 48 - 1;
const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;

/**
 * Makes a run id of 27 characters: a time that sorts newest first, a dash, and 80 random bits. It fits a table key, an
 * engine's instance id and a URL.
 * @param nowMs epoch milliseconds, from 0 to the year 10889
 */
export function newRunId(nowMs: number): string {
  return `${invertedTime(nowMs)}-${base32(randomBytes(RANDOM_BYTES))}`;
}

/**
 * A time as ten characters that sort newest first.
 * @param ms epoch milliseconds; a value outside the range becomes its nearest limit
 */
export function invertedTime(ms: number): string {
  const left = LATEST_MS - Math.min(Math.max(Math.trunc(ms), 0), LATEST_MS);
  let rest = Number.isNaN(left) ? LATEST_MS : left;
  let text = '';
  for (let index = 0; index < TIME_CHARACTERS; index += 1) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) {
      text += ALPHABET.charAt((held >> (bits - 5)) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return text;
}

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

/** Writes the run's row unless it exists, then starts the orchestration with the run's id. Can be repeated. */
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

/** Opens the next run of a promotion. Undefined if another writer was first. */
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
