import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import { standingRule } from '../rules/standing-rule.js';
import { tendPromotion } from '../rows/reconcile.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { Baseline, beginBaseline } from './baseline.js';
import { readOn } from './first-reading.js';
import { pageFrom } from './page-from.js';
import type { StepCall } from '../ports/step.js';
import { repositoriesOf } from './source-repositories.js';
import { isFull, isOfOneRow, isOver, isToStop, countAsked, addProblem, addText, type Scan } from './scan.js';
import { ScanCall, nextRule, scheduledRules, type Cursor } from './scan-cursor.js';
import { scanRepository } from './scan-repository.js';

/** How long one call of the schedule's scan may work, in milliseconds. */
export const SCAN_MS = 60_000;
/** How often a call begins at one place before that is passed over until the next round: it kills its host, say. */
const PLACE_TRIES = 3;
/** Rows that are not at rest of one page. */
export const SCANNED_ROWS = 50;

/** What one call of the scan has done. */
export interface Walked {
  /** Where the next call goes on; null: the round has ended. */
  cursor: string | null;
  started: number;
  looked: number;
  /** What could not be looked at: a line each. */
  problems: string[];
}

/**
 * One call of the schedule's scan. Where nothing differs nothing is started. A registry, a repository or a row that can't be read
 * doesn't keep the scan from the others: it is among the problems, and the next round looks again. What a tick has no time for, or
 * may start no run for, the next tick goes on with: docs/decisions/schedule.md.
 */
export async function walkScheduleStep(
  ports: Scan['ports'],
  input: { cursor: string | null; started: number; forMs?: number },
  call: StepCall,
): Promise<Walked> {
  const maxStarted = await ports.rules.maxRunsPerTick();
  const rules = await ports.rules.load();
  const scanCall = await ScanCall.begin(ports, input.cursor);
  const until = ports.now().getTime() + (input.forMs ?? SCAN_MS);
  // One before this has died.
  const isBitByBit = scanCall.times > 1;
  const { started: before } = input;
  const asked = askedBefore(input.cursor);
  const scan: Scan = { ports, call, until, isBitByBit, started: before, maxStarted, looked: 0, asked, problems: [] };
  if (input.cursor === null) await beginBaselines(scan, rules);
  let cursor: Cursor | undefined = await scanOn(scan, rules, scanCall.cursor, scanCall, scanCall.times);
  while (cursor !== undefined && !isTickOver(scan, cursor) && !isOver(scan)) {
    if (isBitByBit) await scanCall.reach(cursor);
    cursor = await scanOn(scan, rules, cursor, scanCall);
  }
  await scanCall.end(cursor);
  call.progress.text(`${scan.looked} tags looked at, ${scan.started} runs started`);
  const { started, looked, problems } = scan;
  const isEnd = cursor === undefined || isTickOver(scan, cursor);
  const next = { ...cursor, asked: Object.fromEntries(asked) };
  return { cursor: isEnd ? null : JSON.stringify(next), started, looked, problems };
}

const askedSchema = z.object({ asked: z.record(z.string(), z.number()) });

/** What the calls before this one have asked, which goes with the cursor; the scan's note has no need of it. */
function askedBefore(cursor: string | null): Map<string, number> {
  const { data } = askedSchema.safeParse(JSON.parse(cursor ?? 'null'));
  return new Map(Object.entries(data?.asked ?? {}));
}

/** A rule is read for the first time with the tick that first sees it, however late in the round its turn comes. */
async function beginBaselines(scan: Scan, rules: readonly Rule[]): Promise<void> {
  for (const rule of scheduledRules(rules)) {
    if (rule.existing !== 'ignore') continue;
    try {
      await beginBaseline(scan.ports, rule);
    } catch (error) {
      if (!(error instanceof PromoterError)) throw error;
      addProblem(scan, rule, error);
    }
  }
}

/** Rows are looked at all the same where no run may be started any more: they may need none. */
function isTickOver(scan: Scan, cursor: Cursor): boolean {
  return isFull(scan) && cursor.at !== 'rows';
}

/** @param times how often it has been tried here, this time counted. @returns where it goes on; undefined: that was all */
async function scanOn(
  scan: Scan,
  rules: readonly Rule[],
  cursor: Cursor,
  { tags }: ScanCall,
  times = 1,
): Promise<Cursor | undefined> {
  const scheduled = scheduledRules(rules);
  const isPassedOver = times > PLACE_TRIES;
  if (isPassedOver)
    addText(scan, `${placeText(cursor)} is passed over: the scan did not end there, ${times - 1} times`);
  switch (cursor.at) {
    case 'rows': {
      const next = await scanRows(scan, rules, cursor, isPassedOver);
      return next === undefined ? (tags ?? nextRule(scheduled)) : { at: 'rows', from: next };
    }
    case 'rule': {
      const rule = scheduled.find(({ name }) => name === cursor.rule);
      // Past a repository first; where that doesn't help, past the rule.
      const isWhole = times > PLACE_TRIES + 1;
      const next = rule === undefined || isWhole ? undefined : await scanRule(scan, rule, cursor, isPassedOver);
      return next ?? nextRule(scheduled, cursor.rule);
    }
  }
}

function placeText(cursor: Cursor): string {
  if (cursor.at !== 'rule') return cursor.at;
  return `rule ${cursor.rule}${cursor.repository === undefined ? '' : `, ${cursor.repository}`}`;
}

/** One page of the rows that are not at rest. @returns the next one */
async function scanRows(
  scan: Scan,
  rules: readonly Rule[],
  { from }: Cursor & { at: 'rows' },
  isPassedOver: boolean,
): Promise<string | undefined> {
  const page = await pageFrom(from, (at) =>
    scan.ports.store.listOpenPromotions({ size: SCANNED_ROWS, ...(at !== undefined && { from: at }) }),
  );
  for (const row of isPassedOver ? [] : page.items) await scanRow(scan, rules, row);
  return page.next;
}

async function scanRow(scan: Scan, rules: readonly Rule[], row: PromotionRow): Promise<void> {
  const rule = standingRule(rules, row.rule, row.source);
  // It was paused or over the limit, and is now a start like any other.
  const starts = rule !== undefined && !row.runOpen && !scan.ports.paused;
  if (starts && isFull(scan)) return;
  try {
    await tendPromotion(scan.ports, row.id, rule);
    if (starts) scan.started += 1;
  } catch (error) {
    if (!isOfOneRow(error)) throw error;
    addText(scan, `promotion ${row.id}: ${error.code}: ${error.message}`);
  }
}

/** @returns where in the rule it goes on; undefined: that was all of it */
async function scanRule(
  scan: Scan,
  rule: Rule,
  cursor: Cursor & { at: 'rule' },
  isPassedOver: boolean,
): Promise<Cursor | undefined> {
  try {
    const baseline = rule.existing === 'ignore' ? await Baseline.open(scan.ports, rule) : undefined;
    if (baseline !== undefined && baseline.next !== null) {
      // What is new in it can't be told before that.
      const reading = isPassedOver ? undefined : await readOn(scan, rule, baseline, cursor.reading);
      if (reading !== undefined) return { at: 'rule', rule: rule.name, reading };
      if (baseline.next !== null) return undefined;
    }
    // The catalog, where it is read.
    countAsked(scan, rule.source.registry);
    const repositories = await repositoriesOf(scan.ports, rule, scan.call.signal);
    const left = repositories.filter((name) => cursor.repository === undefined || name >= cursor.repository);
    for (const [index, repository] of left.entries()) {
      if (isPassedOver && index === 0) continue;
      // One at least in each call: a scan that is slow to begin gets on all the same.
      const isFirst = index === (isPassedOver ? 1 : 0);
      if (!isFirst && isToStop(scan)) return { at: 'rule', rule: rule.name, repository };
      const last = repository === cursor.repository ? cursor.tag : undefined;
      const tag = await scanRepository(scan, rule, repository, last, baseline);
      if (tag !== undefined) return { at: 'rule', rule: rule.name, repository, tag };
    }
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    addProblem(scan, rule, error);
  }
  return undefined;
}
