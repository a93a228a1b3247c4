import { currentRule } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { incrementGeneration } from '../rows/generation.js';
import { reconcilePromotion } from '../rows/reconcile.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { Ports } from '../ports/ports.js';
import { workInTurn } from './pages.js';
import { isolated } from './scan.js';

/** Rows per page. */
const PAGE_ROWS = 100;
/** Runs started in parallel. */
const AT_ONCE = 16;
/** The note with the position of the next tick, if there is more than one page. */
const NOTE = 'due-promotions';

type PromotionPorts = Pick<Ports, 'store' | 'engine' | 'rules' | 'paused' | 'now'>;

/** The result of {@link reconcilePromotions}. */
export interface ReconciledPromotions {
  /** Runs started for promotions that had no open run. */
  started: number;
  /** Failed promotions that are due for a retry, see {@link retryFailed}. */
  failed: PromotionRow[];
  problems: string[];
}

/**
 * Compares open promotions with the engine. Starts a run that the engine does not have, and replaces an orphaned run
 * with the next one. Safe to repeat, and safe on several hosts at once. If nothing is due, it costs one request.
 * @param before runs already started for this time of the schedule; they count against maxRunsPerTick
 * @param isOver no further page is read once this returns true
 */
export async function reconcilePromotions(
  ports: PromotionPorts,
  before: number,
  isOver: () => boolean = () => false,
): Promise<ReconciledPromotions> {
  const found: ReconciledPromotions = { started: 0, failed: [], problems: [] };
  const by = ports.now();
  let limits: Promise<Limits> | undefined;
  const startable: Startable[] = [];
  await workInTurn(
    ports.store,
    NOTE,
    isOver,
    (from) => ports.store.listDuePromotions({ by, size: PAGE_ROWS, from }),
    async (row) => {
      if (!row.runOpen && row.generation <= row.observedGeneration) {
        found.failed.push(row);
        return;
      }
      limits ??= limitsOf(ports, before);
      const { rules } = await limits;
      const rule = currentRule(rules, row.rule, row.source);
      if (rule !== undefined && !row.runOpen) startable.push({ row, rule });
      else await isolated(found, nameOf(row), () => reconcilePromotion(ports, row.id, rule, { notifies: false }));
    },
  );
  const most = (await limits)?.most ?? 0;
  await startEach(found, ports.paused ? [] : startable, most, ({ row, rule }) =>
    reconcilePromotion(ports, row.id, rule),
  );
  return found;
}

/**
 * Retries the failed promotions whose `retryAt` has passed. Called after the scans, so that promotions that always fail
 * do not use up the runs for new ones.
 * @param failed from {@link reconcilePromotions}
 * @param before as there
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
    const rule = currentRule(rules, row.rule, row.source);
    if (rule?.triggers.includes('schedule') === true) due.push({ row, rule });
    else await isolated(done, nameOf(row), () => forget(ports, row));
  }
  await startEach(done, due, most, ({ row, rule }) =>
    incrementGeneration(ports, rule, row.source, { kind: 'schedule' }),
  );
  return done;
}

interface Startable {
  row: PromotionRow;
  rule: Rule;
}

/** Starts the runs in batches of at most the remaining number, so that a start that fails does not use up a run. */
async function startEach(
  found: { started: number; problems: string[] },
  startable: readonly Startable[],
  most: number,
  start: (each: Startable) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < startable.length && found.started < most;) {
    const some = startable.slice(at, at + Math.min(AT_ONCE, most - found.started));
    const started = await Promise.all(some.map((each) => isolated(found, nameOf(each.row), () => start(each))));
    found.started += started.filter(Boolean).length;
    at += some.length;
  }
}

interface Limits {
  rules: readonly Rule[];
  /** Runs that may still be started for promotions without an open run. */
  most: number;
}

async function limitsOf({ rules }: PromotionPorts, before: number): Promise<Limits> {
  return { rules: await rules.load(), most: (await rules.maxRunsPerTick()) - before };
}

/** Clears `retryAt` because no rule matches the tag. If a rule matches it again later, a scan finds it. */
async function forget({ store }: PromotionPorts, { id, retryAt }: PromotionRow): Promise<void> {
  const current = await store.getPromotion(id);
  if (current === undefined || current.value.retryAt !== retryAt) return;
  await store.replacePromotion({ ...current.value, retryAt: undefined }, current.version);
}

function nameOf({ id }: PromotionRow): string {
  return `promotion ${id}`;
}
