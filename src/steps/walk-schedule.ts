import { z } from 'zod';
import { PromoterError, describeError, parseReference, type TagDetails } from '../oci/index.js';
import { decideTag } from '../promotion/decide.js';
import { matchRules, type TagName } from '../promotion/match.js';
import { promotionId, ruleHash } from '../promotion/promotion-id.js';
import type { Rule } from '../promotion/rule.js';
import { raiseWanted, tendPromotion } from '../runs/promotion-runs.js';
import { readBaseline } from './baseline.js';
import type { InputOf, ResultOf, walkScheduleContract } from './contracts.js';
import { deepPass } from './deep-pass.js';
import { STEP_LIMITS } from './limits.js';
import { resolveTag } from './observe.js';
import { repositoriesOf } from './source-repositories.js';
import type { Ports, StepCall } from './ports.js';

type WalkPorts = Pick<Ports, 'registries' | 'listing' | 'store' | 'engine' | 'rules' | 'documents' | 'paused' | 'now'>;

/** Where the walk stands: first the rows that are not at rest, then the rules by name. */
const cursorSchema = z.discriminatedUnion('at', [
  z.object({ at: z.literal('rows'), from: z.string().optional() }),
  z.object({ at: z.literal('rule'), rule: z.string(), repository: z.string().optional(), tag: z.string().optional() }),
]);
type Cursor = z.infer<typeof cursorSchema>;

interface Walk {
  ports: WalkPorts;
  call: StepCall;
  until: number;
  started: number;
  looked: number;
}

/**
 * One stretch of the schedule's walk. Where nothing differs nothing is started. A registry that can't be reached doesn't keep
 * the walk from the others: it is said, and the next tick looks again.
 */
export async function walkScheduleStep(
  ports: WalkPorts,
  input: InputOf<typeof walkScheduleContract>,
  call: StepCall,
): Promise<ResultOf<typeof walkScheduleContract>> {
  const walk: Walk = { ports, call, until: Date.now() + STEP_LIMITS.walkMs, started: input.started, looked: 0 };
  const rules = await ports.rules.load();
  let cursor: Cursor | undefined =
    input.cursor === null ? { at: 'rows' } : cursorSchema.parse(JSON.parse(input.cursor));
  while (cursor !== undefined && Date.now() < walk.until) {
    cursor = cursor.at === 'rows' ? await walkRows(walk, rules, cursor) : await walkRule(walk, rules, cursor);
  }
  if (cursor === undefined) {
    const scheduled = rules.filter((rule) => rule.triggers.includes('schedule'));
    walk.started += await deepPass(ports, scheduled, call);
  }
  call.progress.text(`${walk.looked} tags looked at, ${walk.started} runs started`);
  return { cursor: cursor === undefined ? null : JSON.stringify(cursor), started: walk.started, looked: walk.looked };
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
    const rule = rules.find(({ name }) => name === row.rule);
    if (rule !== undefined) await tendPromotion(walk.ports, row.id, rule);
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
    const baseline = rule.existing === 'ignore' ? await readBaseline(walk.ports, rule, walk.call.signal) : undefined;
    for (const repository of await repositoriesOf(walk.ports, rule, walk.call.signal)) {
      if (cursor.repository !== undefined && repository < cursor.repository) continue;
      const last = repository === cursor.repository ? cursor.tag : undefined;
      let batch: TagDetails[] = [];
      const from = walk.ports.listing.repository(rule.source.registry, repository);
      const { signal } = walk.call;
      for await (const listed of from.listTagDetails({ signal, ...(last !== undefined && { last }) })) {
        const name = { registry: rule.source.registry, repository, tag: listed.name };
        if (matchRules([rule], name).rules.length === 0) continue;
        batch.push(listed);
        if (batch.length < BATCH) continue;
        await lookAtAll(walk, rule, repository, batch, baseline);
        batch = [];
        if (walk.started >= STEP_LIMITS.runsPerTick) return undefined;
        if (Date.now() >= walk.until) return { at: 'rule', rule: rule.name, repository, tag: listed.name };
      }
      await lookAtAll(walk, rule, repository, batch, baseline);
      if (walk.started >= STEP_LIMITS.runsPerTick) return undefined;
    }
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    const { code, message } = describeError(error);
    walk.call.progress.text(`rule ${rule.name}: ${code}: ${message}`);
  }
  return firstRule(rules, rule.name);
}

/** Tags that are looked at side by side. */
const BATCH = 16;

async function lookAtAll(
  walk: Walk,
  rule: Rule,
  repository: string,
  tags: readonly TagDetails[],
  baseline: ReadonlyMap<string, string> | undefined,
): Promise<void> {
  await Promise.all(
    tags.map((listed) =>
      lookAt(walk, rule, { registry: rule.source.registry, repository, tag: listed.name }, listed.digest, baseline),
    ),
  );
}

async function lookAt(
  walk: Walk,
  rule: Rule,
  name: TagName,
  digest: string,
  baseline: ReadonlyMap<string, string> | undefined,
): Promise<void> {
  walk.looked += 1;
  const { ports, call } = walk;
  const row = (await ports.store.getPromotion(promotionId(rule.name, name)))?.value;
  const decision = decideTag({
    digest,
    ruleHash: ruleHash(rule),
    now: ports.now(),
    ...(row !== undefined && { row }),
    ...(baseline?.has(`${name.repository}:${name.tag}`) === true && {
      baseline: baseline.get(`${name.repository}:${name.tag}`) ?? '',
    }),
  });
  if (decision === 'leave') return;
  if (decision === 'compare' && row !== undefined) {
    const { registry, repository, tag = '' } = parseReference(row.destination);
    const standing = await resolveTag(ports, { registry, repository, tag }, call.signal);
    if (standing?.digest === digest) return;
  }
  if (walk.started >= STEP_LIMITS.runsPerTick) return;
  walk.started += 1;
  await raiseWanted(ports, rule, name);
}
