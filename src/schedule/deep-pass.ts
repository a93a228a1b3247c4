import { z } from 'zod';
import { parseReference } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import { standingRule } from '../rules/standing-rule.js';
import { raiseWanted } from '../rows/increment.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { isOfInterest, isWorthARun } from './deep-look.js';
import { DeepPassBudget } from './deep-pass-budget.js';
import { pageFrom } from './page-from.js';
import { isFull, isOver, type Scan } from './scan.js';

/** Promotions of a page of the deep pass. */
export const DEEP_PASS_PAGE = 20;
/** Pages of one deep pass at most. */
const MOST_DEEP_PASS_PAGES = 20;

/** Where the pass goes on at the next tick: a page of the promotions' list, and which of its rows are done. */
const NOTE = 'deep-pass';
const cursorSchema = z.object({
  from: z.string().optional(),
  done: z.array(z.string()),
  /** When the round began: what was run since then has just been looked at, and moves to the front of the list. */
  since: z.string(),
  /** By registry: what earlier ticks asked beyond their budget. */
  owed: z.record(z.string(), z.number().min(0)).default({}),
  /** By promotion: the run since which it is too much to look at. */
  tooMuch: z.record(z.string(), z.string()).default({}),
});
type Cursor = z.infer<typeof cursorSchema>;

/**
 * The schedule's second pass: compares the graphs of promotions that are in sync, referrers and all, looks whether our SBOMs and
 * signatures are still there, and whether what was refused for a reason outside would be so again. It moves on with a saved
 * cursor, as far as time and the registries' limits allow: what no event told of is found within some ticks.
 * @returns how many promotions were raised
 */
export async function deepPass(scan: Scan, rules: readonly Rule[]): Promise<number> {
  if (scan.ports.paused) return 0;
  const note = await openNote(scan);
  const { done, since, owed, tooMuch } = note.cursor;
  const budget = new DeepPassBudget(scan, owed, tooMuch);
  let { from } = note.cursor;
  let raised = 0;
  for (let pages = 0; pages < MOST_DEEP_PASS_PAGES; pages += 1) {
    const page = await pageFrom(from, (at) =>
      scan.ports.store.listPromotions({ size: DEEP_PASS_PAGE, ...(at !== undefined && { from: at }) }),
    );
    for (const row of page.items) {
      if (done.includes(row.id) || isRunSince(scan, row, since)) continue;
      const rule = isOfInterest(row) ? standingRule(rules, row.rule, row.source) : undefined;
      if (rule === undefined) continue;
      const isAllowed = budget.allows(registriesOf(row)) && !isOver(scan) && !isFull(scan);
      if (isAllowed) done.push(row.id);
      // Written down before it is looked at: one that kills its host is in the way of no other.
      const isOurs = await note.save({ from, done, since, owed: budget.owed(), tooMuch: budget.tooMuch() });
      if (!isAllowed || !isOurs) return raised;
      if (!(await isWorthARun(scan, budget, rule, row))) continue;
      await raiseWanted(scan.ports, rule, row.source, { kind: 'schedule' });
      scan.started += 1;
      raised += 1;
    }
    from = page.next;
    done.length = 0;
    if (from === undefined) break;
  }
  const next = from === undefined ? scan.ports.now().toISOString() : since;
  await note.save({ from, done, since: next, owed: budget.owed(), tooMuch: budget.tooMuch() });
  return raised;
}

/** A time to come is that of a clock that was wrong, and says nothing. */
function isRunSince({ ports }: Scan, { runOpenedAt = '' }: PromotionRow, since: string): boolean {
  const at = Date.parse(runOpenedAt);
  return at > Date.parse(since) && at <= ports.now().getTime();
}

function registriesOf({ source, destination }: PromotionRow): string[] {
  return [...new Set([source.registry, parseReference(destination).registry])];
}

interface OpenNote {
  cursor: Cursor;
  /** @returns false where another tick has written it: that one goes on */
  save(cursor: Cursor): Promise<boolean>;
}

async function openNote({ ports: { store, now } }: Scan): Promise<OpenNote> {
  let kept = await store.getNote(NOTE);
  return {
    cursor: parseCursor(kept?.value, now()),
    async save(cursor) {
      const text = JSON.stringify(cursor);
      if (!(await store.putNote(NOTE, text, kept?.version))) return false;
      kept = await store.getNote(NOTE);
      return kept?.value === text;
    },
  };
}

/** A cursor of another version: from the start again. */
function parseCursor(text: string | undefined, now: Date): Cursor {
  try {
    return cursorSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return { done: [], since: now.toISOString(), owed: {}, tooMuch: {} };
  }
}
