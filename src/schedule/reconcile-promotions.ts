import { standingRule } from '../rules/standing-rule.js';
import type { Rule } from '../rules/rule.js';
import { raiseWanted } from '../rows/increment.js';
import { tendPromotion } from '../rows/reconcile.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { Ports } from '../ports/ports.js';
import { workInTurn } from './page-from.js';
import { isOfOneRow } from './scan.js';

/** Rows of a page. */
const PAGE_ROWS = 100;
/** Runs that are started at once. */
const AT_ONCE = 16;
/** Problems that are told, a line each. */
const MOST_PROBLEMS = 20;
/** Where the next tick continues, if there is more than a page of such rows. */
const NOTE = 'due-promotions';

type PromotionPorts = Pick<Ports, 'store' | 'engine' | 'rules' | 'paused' | 'now'>;

/** What was found. */
export interface ReconciledPromotions {
  /** Runs that were started for rows without an open one. */
  started: number;
  /** What failed and is to be tried again: {@link retryFailed}. */
  failed: PromotionRow[];
  problems: string[];
}

/**
 * Compares open promotions with the engine: a run that never came to be is started, one that is lost is followed by the next. May be done
 * any number of times, and by several at once. If nothing is due, it is one request.
 * @param before runs that the schedule has started since its last time: of maxRunsPerTick @param isOver no further page then
 */
export async function reconcilePromotions(
  ports: PromotionPorts,
  before: number,
  isOver: () => boolean = () => false,
): Promise<ReconciledPromotions> {
  const found: ReconciledPromotions = { started: 0, failed: [], problems: [] };
  const by = ports.now();
  let limits: Promise<Limits> | undefined;
  const putOff: Startable[] = [];
  await workInTurn(
    ports.store,
    NOTE,
    isOver,
    (from) => ports.store.listDuePromotions({ by, size: PAGE_ROWS, ...(from !== undefined && { from }) }),
    async (row) => {
      if (!row.runOpen && row.wanted <= row.answered) {
        found.failed.push(row);
        return;
      }
      limits ??= limitsOf(ports, before);
      const { rules } = await limits;
      const rule = standingRule(rules, row.rule, row.source);
      if (rule !== undefined && !row.runOpen) putOff.push({ row, rule });
      else await apart(found, row, () => tendPromotion(ports, row.id, rule, { wakes: false }));
    },
  );
  const most = (await limits)?.most ?? 0;
  await startEach(found, ports.paused ? [] : putOff, most, ({ row, rule }) => tendPromotion(ports, row.id, rule));
  return found;
}

/**
 * Tries again what failed and whose time has come: after the scans, so that what always fails takes no run from what is new.
 * @param failed as {@link reconcilePromotions} found it @param before as there
 */
export async function retryFailed(
  ports: PromotionPorts,
  failed: readonly PromotionRow[],
  before: number,
): Promise<Omit<ReconciledPromotions, 'failed'>> {
  const done = { started: 0, problems: [] };
  if (failed.length === 0 || ports.paused) return done;
  const { rules, most } = await limitsOf(ports, before);
  const due: Startable[] = [];
  for (const row of failed) {
    const rule = standingRule(rules, row.rule, row.source);
    if (rule?.triggers.includes('schedule') === true) due.push({ row, rule });
    else await apart(done, row, () => forget(ports, row));
  }
  await startEach(done, due, most, ({ row, rule }) => raiseWanted(ports, rule, row.source, { kind: 'schedule' }));
  return done;
}

interface Startable {
  row: PromotionRow;
  rule: Rule;
}

/** No more at once than may be started, so that one that fails takes no other's place. */
async function startEach(
  found: { started: number; problems: string[] },
  startable: readonly Startable[],
  most: number,
  start: (each: Startable) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < startable.length && found.started < most;) {
    const some = startable.slice(at, at + Math.min(AT_ONCE, most - found.started));
    const started = await Promise.all(some.map((each) => apart(found, each.row, () => start(each))));
    found.started += started.filter(Boolean).length;
    at += some.length;
  }
}

interface Limits {
  rules: readonly Rule[];
  /** Runs that may be started for promotions without an open one. */
  most: number;
}

async function limitsOf({ rules }: PromotionPorts, before: number): Promise<Limits> {
  return { rules: await rules.load(), most: (await rules.maxRunsPerTick()) - before };
}

/** No rule asks for it any more: should one do so again, a scan sees it. */
async function forget({ store }: PromotionPorts, { id, retryAt }: PromotionRow): Promise<void> {
  const current = await store.getPromotion(id);
  if (current === undefined || current.value.retryAt !== retryAt) return;
  const { retryAt: _never, ...rest } = current.value;
  await store.replacePromotion(rest, current.version);
}

/** What is wrong with one row keeps no other from its turn. @returns if nothing was */
async function apart(
  found: { problems: string[] },
  { id }: PromotionRow,
  work: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!isOfOneRow(error)) throw error;
    if (found.problems.length < MOST_PROBLEMS) found.problems.push(`promotion ${id}: ${error.code}: ${error.message}`);
    return false;
  }
}
