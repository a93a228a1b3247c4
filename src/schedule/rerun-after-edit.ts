import { fingerprint } from '../rules/rule.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { promotionRows } from './promotion-rows.js';
import { isolated, isRunLimitReached, isTaken, type RepositoryScan, triggerRun } from './scan.js';

/** True if promotions of this repository may have last run under a former version of the rule. */
export function isOutdated({ rule, state }: Pick<RepositoryScan, 'rule' | 'state'>): boolean {
  const { ranAgain } = state;
  return ranAgain?.isWhole !== true || ranAgain.by !== fingerprint(rule);
}

/**
 * Starts runs for the promotions of a repository whose last run had another rule fingerprint, continuing where the last
 * tick stopped. Sends no registry request; the runs find the differences.
 * @returns true if all promotions were handled
 */
export async function rerunAfterEdit(place: RepositoryScan): Promise<boolean> {
  const { scan, rule, repository } = place;
  const by = fingerprint(rule);
  const { ranAgain } = place.state;
  const after = ranAgain?.by === by ? ranAgain.after : undefined;
  place.state = { ...place.state, ranAgain: { by, isWhole: false, after } };
  for await (const row of promotionRows(scan.ports.store, rule, repository, { afterTag: after })) {
    if (scan.ports.now().getTime() >= place.until) return false;
    if (isTaken(rule, repository, row.source.tag) && (await isOfOther(place, by, row))) {
      if (isRunLimitReached(scan)) return false;
      await isolated(scan, `rule ${rule.name}`, () => triggerRun(scan, rule, row.source));
    }
    place.state = { ...place.state, ranAgain: { by, isWhole: false, after: row.source.tag } };
  }
  place.state = { ...place.state, ranAgain: { by, isWhole: true } };
  return true;
}

async function isOfOther({ scan }: RepositoryScan, by: string, row: PromotionRow): Promise<boolean> {
  if (!row.runOpen) return row.last !== undefined && row.last.fingerprint !== by;
  // An open run keeps the rule as it was when the run started.
  const input = row.runId === undefined ? undefined : (await scan.ports.store.getRun(row.runId))?.value.input;
  return input?.kind === 'promotion' && fingerprint(input.rule) !== by;
}
