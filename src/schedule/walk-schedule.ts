import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import { standingRule } from '../rules/standing-rule.js';
import { tendPromotion } from '../rows/reconcile.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { Baseline, beginBaseline } from './baseline.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { walkScheduleContract } from './contracts.js';
import { deepPass } from './deep-pass.js';
import { readOn } from './first-reading.js';
import { pageFrom } from './page-from.js';
import type { StepCall } from '../ports/step.js';
import { repositoriesOf } from './source-repositories.js';
import { isFull, isOfOneRow, isOver, isToStop, noteAsked, noteProblem, noteText, type Walk } from './walk.js';
import { Stretch, nextRule, scheduledRules, type Cursor } from './walk-cursor.js';
import { walkRepository } from './walk-repository.js';

/** How long one stretch of the schedule's walk may work, in milliseconds. */
export const WALK_MS = 60_000;
/** How often a stretch begins at one place before that is passed over until the next round: it kills its host, say. */
const STRETCH_TRIES = 3;
/** Rows that are not at rest of one page. */
export const WALKED_ROWS = 50;

/**
 * One stretch of the schedule's walk. Where nothing differs nothing is started. A registry, a repository or a row that can't be read
 * doesn't keep the walk from the others: it is among the problems, and the next round looks again. What a tick has no time for, or
 * may start no run for, the next tick goes on with: docs/decisions/schedule.md.
 */
export async function walkScheduleStep(
  ports: Walk['ports'],
  input: InputOf<typeof walkScheduleContract>,
  call: StepCall,
): Promise<ResultOf<typeof walkScheduleContract>> {
  const maxStarted = await ports.rules.maxRunsPerTick();
  const rules = await ports.rules.load();
  const stretch = await Stretch.begin(ports, input.cursor);
  const until = ports.now().getTime() + WALK_MS;
  // One before this has died.
  const isBitByBit = stretch.times > 1;
  const { started: before } = input;
  const asked = askedBefore(input.cursor);
  const walk: Walk = { ports, call, until, isBitByBit, started: before, maxStarted, looked: 0, asked, problems: [] };
  if (input.cursor === null) await beginBaselines(walk, rules);
  let cursor: Cursor | undefined = await walkOn(walk, rules, stretch.cursor, stretch, stretch.times);
  while (cursor !== undefined && !isTickOver(walk, cursor) && !isOver(walk)) {
    if (isBitByBit) await stretch.reach(cursor);
    cursor = await walkOn(walk, rules, cursor, stretch);
  }
  await stretch.end(cursor);
  call.progress.text(`${walk.looked} tags looked at, ${walk.started} runs started`);
  const { started, looked, problems } = walk;
  const isEnd = cursor === undefined || isTickOver(walk, cursor);
  const next = { ...cursor, asked: Object.fromEntries(asked) };
  return { cursor: isEnd ? null : JSON.stringify(next), started, looked, problems };
}

const askedSchema = z.object({ asked: z.record(z.string(), z.number()) });

/** What the stretches before this one have asked, which goes with the cursor; the walk's note has no need of it. */
function askedBefore(cursor: string | null): Map<string, number> {
  const { data } = askedSchema.safeParse(JSON.parse(cursor ?? 'null'));
  return new Map(Object.entries(data?.asked ?? {}));
}

/** A rule is read for the first time with the tick that first sees it, however late in the round its turn comes. */
async function beginBaselines(walk: Walk, rules: readonly Rule[]): Promise<void> {
  for (const rule of scheduledRules(rules)) {
    if (rule.existing !== 'ignore') continue;
    try {
      await beginBaseline(walk.ports, rule);
    } catch (error) {
      if (!(error instanceof PromoterError)) throw error;
      noteProblem(walk, rule, error);
    }
  }
}

/** Rows are looked at all the same where no run may be started any more: they may need none. */
function isTickOver(walk: Walk, cursor: Cursor): boolean {
  return isFull(walk) && cursor.at !== 'rows';
}

/** @param times how often it has been tried here, this time counted. @returns where it goes on; undefined: that was all */
async function walkOn(
  walk: Walk,
  rules: readonly Rule[],
  cursor: Cursor,
  { tags }: Stretch,
  times = 1,
): Promise<Cursor | undefined> {
  const scheduled = scheduledRules(rules);
  const isPassedOver = times > STRETCH_TRIES;
  if (isPassedOver)
    noteText(walk, `${placeText(cursor)} is passed over: the walk came to no end there, ${times - 1} times`);
  switch (cursor.at) {
    case 'rows': {
      const next = await walkRows(walk, rules, cursor, isPassedOver);
      return next === undefined ? (tags ?? nextRule(scheduled)) : { at: 'rows', from: next };
    }
    case 'rule': {
      const rule = scheduled.find(({ name }) => name === cursor.rule);
      // Past a repository first; where that doesn't help, past the rule.
      const isWhole = times > STRETCH_TRIES + 1;
      const next = rule === undefined || isWhole ? undefined : await walkRule(walk, rule, cursor, isPassedOver);
      return next ?? nextRule(scheduled, cursor.rule);
    }
    case 'deep pass':
      if (!isPassedOver) await deepPass(walk, scheduled);
      return undefined;
  }
}

function placeText(cursor: Cursor): string {
  if (cursor.at !== 'rule') return cursor.at;
  return `rule ${cursor.rule}${cursor.repository === undefined ? '' : `, ${cursor.repository}`}`;
}

/** One page of the rows that are not at rest. @returns the next one */
async function walkRows(
  walk: Walk,
  rules: readonly Rule[],
  { from }: Cursor & { at: 'rows' },
  isPassedOver: boolean,
): Promise<string | undefined> {
  const page = await pageFrom(from, (at) =>
    walk.ports.store.listOpenPromotions({ size: WALKED_ROWS, ...(at !== undefined && { from: at }) }),
  );
  for (const row of isPassedOver ? [] : page.items) await walkRow(walk, rules, row);
  return page.next;
}

async function walkRow(walk: Walk, rules: readonly Rule[], row: PromotionRow): Promise<void> {
  const rule = standingRule(rules, row.rule, row.source);
  // It was paused or over the limit, and is now a start like any other.
  const starts = rule !== undefined && !row.runOpen && !walk.ports.paused;
  if (starts && isFull(walk)) return;
  try {
    await tendPromotion(walk.ports, row.id, rule);
    if (starts) walk.started += 1;
  } catch (error) {
    if (!isOfOneRow(error)) throw error;
    noteText(walk, `promotion ${row.id}: ${error.code}: ${error.message}`);
  }
}

/** @returns where in the rule it goes on; undefined: that was all of it */
async function walkRule(
  walk: Walk,
  rule: Rule,
  cursor: Cursor & { at: 'rule' },
  isPassedOver: boolean,
): Promise<Cursor | undefined> {
  try {
    const baseline = rule.existing === 'ignore' ? await Baseline.open(walk.ports, rule) : undefined;
    if (baseline !== undefined && baseline.next !== null) {
      // What is new in it can't be told before that.
      const reading = isPassedOver ? undefined : await readOn(walk, rule, baseline, cursor.reading);
      if (reading !== undefined) return { at: 'rule', rule: rule.name, reading };
      if (baseline.next !== null) return undefined;
    }
    // The catalog, where it is read.
    noteAsked(walk, rule.source.registry);
    const repositories = await repositoriesOf(walk.ports, rule, walk.call.signal);
    const left = repositories.filter((name) => cursor.repository === undefined || name >= cursor.repository);
    for (const [index, repository] of left.entries()) {
      if (isPassedOver && index === 0) continue;
      // One at least in each stretch: a walk that is slow to begin gets on all the same.
      const isFirst = index === (isPassedOver ? 1 : 0);
      if (!isFirst && isToStop(walk)) return { at: 'rule', rule: rule.name, repository };
      const last = repository === cursor.repository ? cursor.tag : undefined;
      const tag = await walkRepository(walk, rule, repository, last, baseline);
      if (tag !== undefined) return { at: 'rule', rule: rule.name, repository, tag };
    }
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    noteProblem(walk, rule, error);
  }
  return undefined;
}
