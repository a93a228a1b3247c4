import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import type { Rule } from '../promotion/rule.js';
import { standingRule } from '../promotion/standing-rule.js';
import { tendPromotion } from '../runs/promotion-runs.js';
import { readBaseline } from './baseline.js';
import type { InputOf, ResultOf, walkScheduleContract } from './contracts.js';
import { deepPass } from './deep-pass.js';
import { STEP_LIMITS } from './limits.js';
import type { StepCall } from './ports.js';
import { repositoriesOf } from './source-repositories.js';
import { isFull, isOver, noteProblem, type Walk } from './walk.js';
import { walkRepository } from './walk-repository.js';
import { within } from './within.js';

/** Where the walk stands: first the rows that are not at rest, then the rules by name. */
const cursorSchema = z.discriminatedUnion('at', [
  z.object({ at: z.literal('rows'), from: z.string().optional() }),
  z.object({ at: z.literal('rule'), rule: z.string(), repository: z.string().optional(), tag: z.string().optional() }),
]);
type Cursor = z.infer<typeof cursorSchema>;

/**
 * One stretch of the schedule's walk. Where nothing differs nothing is started. A registry or a repository that can't be read
 * doesn't keep the walk from the others: it is among the problems, and the next tick looks again.
 */
export async function walkScheduleStep(
  ports: Walk['ports'],
  input: InputOf<typeof walkScheduleContract>,
  call: StepCall,
): Promise<ResultOf<typeof walkScheduleContract>> {
  const until = ports.now().getTime() + STEP_LIMITS.walkMs;
  const maxStarted = await ports.rules.maxRunsPerTick();
  const walk: Walk = { ports, call, until, started: input.started, maxStarted, looked: 0, problems: [] };
  const rules = await ports.rules.load();
  let cursor: Cursor | undefined =
    input.cursor === null ? { at: 'rows' } : cursorSchema.parse(JSON.parse(input.cursor));
  while (cursor !== undefined && !isOver(walk)) {
    cursor = cursor.at === 'rows' ? await walkRows(walk, rules, cursor) : await walkRule(walk, rules, cursor);
  }
  if (cursor === undefined && !isFull(walk)) {
    const scheduled = rules.filter((rule) => rule.triggers.includes('schedule'));
    await deepPass(walk, scheduled);
  }
  call.progress.text(`${walk.looked} tags looked at, ${walk.started} runs started`);
  const { started, looked, problems } = walk;
  return { cursor: cursor === undefined ? null : JSON.stringify(cursor), started, looked, problems };
}

function firstRule(rules: readonly Rule[], after?: string): Cursor | undefined {
  const scheduled = rules.filter((rule) => rule.triggers.includes('schedule'));
  const index = after === undefined ? 0 : scheduled.findIndex((rule) => rule.name === after) + 1;
  const next = scheduled[index];
  // A rule that is gone since the last stretch would send the walk back to its start.
  if (next === undefined || (after !== undefined && index === 0)) return undefined;
  return { at: 'rule', rule: next.name };
}

async function walkRows(
  walk: Walk,
  rules: readonly Rule[],
  cursor: Cursor & { at: 'rows' },
): Promise<Cursor | undefined> {
  const page = await walk.ports.store.listOpenPromotions({
    size: 50,
    ...(cursor.from !== undefined && { from: cursor.from }),
  });
  for (const row of page.items) {
    const rule = standingRule(rules, row.rule, row.source);
    // It was paused or over the limit, and is now a start like any other.
    const starts = rule !== undefined && !row.runOpen && !walk.ports.paused;
    if (starts && isFull(walk)) continue;
    if (starts) walk.started += 1;
    await tendPromotion(walk.ports, row.id, rule);
  }
  return page.next === undefined ? firstRule(rules) : { at: 'rows', from: page.next };
}

async function walkRule(
  walk: Walk,
  rules: readonly Rule[],
  cursor: Cursor & { at: 'rule' },
): Promise<Cursor | undefined> {
  const rule = rules.find(({ name }) => name === cursor.rule);
  if (rule === undefined) return firstRule(rules, cursor.rule);
  try {
    const baseline =
      rule.existing === 'ignore'
        ? await within(walk.call.signal, STEP_LIMITS.baselineMs, 'the first reading of its source', (signal) =>
            readBaseline(walk.ports, rule, signal),
          )
        : undefined;
    let isFirst = true;
    for (const repository of await repositoriesOf(walk.ports, rule, walk.call.signal)) {
      if (cursor.repository !== undefined && repository < cursor.repository) continue;
      // One at least in each stretch: a walk that is slow to begin gets on all the same.
      if (!isFirst && isOver(walk)) return { at: 'rule', rule: rule.name, repository };
      isFirst = false;
      const last = repository === cursor.repository ? cursor.tag : undefined;
      const tag = await walkRepository(walk, rule, repository, last, baseline);
      if (isFull(walk)) return undefined;
      if (tag !== undefined) return { at: 'rule', rule: rule.name, repository, tag };
    }
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    noteProblem(walk, rule, error);
  }
  return firstRule(rules, rule.name);
}
