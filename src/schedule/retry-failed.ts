import { failurePauseMs } from '../rules/decide.js';
import type { Rule } from '../rules/rule.js';
import { standingRule } from '../rules/standing-rule.js';
import { raiseWanted } from '../rows/increment.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { Ports } from '../ports/ports.js';
import { pagesInTurn } from './page-from.js';
import type { ReconciledPromotions } from './reconcile-promotions.js';
import { isOfOneRow } from './scan.js';

/** Rows of a page, and pages that are looked at after the first; the next time continues where this one stopped. */
const PAGE_ROWS = 100;
const MORE_PAGES = 10;
const NOTE = 'failed-promotions';

type FailedPorts = Pick<Ports, 'store' | 'engine' | 'rules' | 'paused' | 'now'>;

/**
 * Tries again what failed, with growing pauses. What failed since its tag is gone is left to the scans, which see when it is back.
 * @param before runs that the schedule has started since its last time: of maxRunsPerTick
 */
export async function retryFailed(ports: FailedPorts, before: number): Promise<ReconciledPromotions> {
  const found: ReconciledPromotions = { started: 0, problems: [] };
  if (ports.paused) return found;
  let limits: { rules: readonly Rule[]; most: number } | undefined;
  const failed = pagesInTurn(ports.store, NOTE, MORE_PAGES, (from) =>
    ports.store.listPromotions({ size: PAGE_ROWS, filter: { state: 'failed' }, ...(from !== undefined && { from }) }),
  );
  for await (const row of failed) {
    limits ??= { rules: await ports.rules.load(), most: (await ports.rules.maxRunsPerTick()) - before };
    if (found.started >= limits.most) break;
    const rules = limits.rules.filter(({ triggers }) => triggers.includes('schedule'));
    const rule = isDue(row, ports.now()) ? standingRule(rules, row.rule, row.source) : undefined;
    if (rule === undefined) continue;
    try {
      await raiseWanted(ports, rule, row.source, { kind: 'schedule' });
      found.started += 1;
    } catch (error) {
      if (!isOfOneRow(error)) throw error;
      found.problems.push(`promotion ${row.id}: ${error.code}: ${error.message}`);
    }
  }
  return found;
}

/** Also if it failed long from now, by a clock that was wrong. */
function isDue({ state, runOpen, failures, last }: PromotionRow, now: Date): boolean {
  if (state !== 'failed' || runOpen || last === undefined || last.code === 'SOURCE_GONE') return false;
  return Math.abs(now.getTime() - Date.parse(last.finishedAt)) >= failurePauseMs(failures);
}
