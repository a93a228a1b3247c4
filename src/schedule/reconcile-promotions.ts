import { standingRule } from '../rules/standing-rule.js';
import type { Rule } from '../rules/rule.js';
import { tendPromotion } from '../rows/reconcile.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { Ports } from '../ports/ports.js';
import { pagesInTurn } from './page-from.js';
import { isOfOneRow } from './scan.js';

/** Rows of a page, and pages that a tick looks at after the first; it continues where the last one stopped. */
const OPEN_ROWS = 50;
const MORE_PAGES = 20;
/** Where the next tick continues, if there is more than a page of open rows. */
const NOTE = 'open-promotions';

type PromotionPorts = Pick<Ports, 'store' | 'engine' | 'rules' | 'paused' | 'now'>;

/** What was done, and what went wrong. */
export interface ReconciledPromotions {
  /** Runs that were started for promotions without an open one. */
  started: number;
  problems: string[];
}

/**
 * Compares the open promotions with the engine: a run that never came to be is started, one that is lost is followed by the next. May be
 * done any number of times, and by several at once.
 * @param before runs that the schedule has started since its last time: of maxRunsPerTick
 */
export async function reconcilePromotions(ports: PromotionPorts, before: number): Promise<ReconciledPromotions> {
  const found: ReconciledPromotions = { started: 0, problems: [] };
  let limits: { rules: readonly Rule[]; most: number } | undefined;
  const open = pagesInTurn(ports.store, NOTE, MORE_PAGES, (from) =>
    ports.store.listOpenPromotions({ size: OPEN_ROWS, ...(from !== undefined && { from }) }),
  );
  for await (const row of open) {
    limits ??= { rules: await ports.rules.load(), most: (await ports.rules.maxRunsPerTick()) - before };
    await reconcile(ports, limits, row, found);
  }
  return found;
}

async function reconcile(
  ports: PromotionPorts,
  { rules, most }: { rules: readonly Rule[]; most: number },
  row: PromotionRow,
  found: ReconciledPromotions,
): Promise<void> {
  const rule = standingRule(rules, row.rule, row.source);
  const starts = rule !== undefined && !row.runOpen && !ports.paused;
  if (starts && found.started >= most) return;
  try {
    await tendPromotion(ports, row.id, rule);
    if (starts) found.started += 1;
  } catch (error) {
    if (!isOfOneRow(error)) throw error;
    found.problems.push(`promotion ${row.id}: ${error.code}: ${error.message}`);
  }
}
