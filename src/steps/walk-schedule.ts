import { z } from 'zod';
import {
  InputError,
  PromoterError,
  RegistryError,
  describeError,
  parseReference,
  type TagDetails,
} from '../oci/index.js';
import { decideTag } from '../promotion/decide.js';
import type { TagName } from '../promotion/match.js';
import { promotionId, ruleHash } from '../promotion/promotion-id.js';
import type { Rule } from '../promotion/rule.js';
import { raiseWanted, tendPromotion } from '../runs/promotion-runs.js';
import type { PromotionRow } from '../runs/rows.js';
import { readBaseline } from './baseline.js';
import type { InputOf, ResultOf, walkScheduleContract } from './contracts.js';
import { deepPass } from './deep-pass.js';
import { isDestinationFree } from './destination-owner.js';
import { STEP_LIMITS } from './limits.js';
import { resolveTag } from './observe.js';
import { repositoriesOf, tagsOf } from './source-repositories.js';
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
  problems: string[];
}

/** `existing: ignore`: what the rule's source held at first, by `repository:tag`. */
type Baseline = ReadonlyMap<string, string> | undefined;

/**
 * One stretch of the schedule's walk. Where nothing differs nothing is started. A registry or a repository that can't be read
 * doesn't keep the walk from the others: it is among the problems, and the next tick looks again.
 */
export async function walkScheduleStep(
  ports: WalkPorts,
  input: InputOf<typeof walkScheduleContract>,
  call: StepCall,
): Promise<ResultOf<typeof walkScheduleContract>> {
  const until = ports.now().getTime() + STEP_LIMITS.walkMs;
  const walk: Walk = { ports, call, until, started: input.started, looked: 0, problems: [] };
  const rules = await ports.rules.load();
  let cursor: Cursor | undefined =
    input.cursor === null ? { at: 'rows' } : cursorSchema.parse(JSON.parse(input.cursor));
  while (cursor !== undefined && !isOver(walk)) {
    cursor = cursor.at === 'rows' ? await walkRows(walk, rules, cursor) : await walkRule(walk, rules, cursor);
  }
  if (cursor === undefined && !isFull(walk)) {
    const scheduled = rules.filter((rule) => rule.triggers.includes('schedule'));
    walk.started += await deepPass(ports, scheduled, call);
  }
  call.progress.text(`${walk.looked} tags looked at, ${walk.started} runs started`);
  const { started, looked, problems } = walk;
  return { cursor: cursor === undefined ? null : JSON.stringify(cursor), started, looked, problems };
}

function isOver(walk: Walk): boolean {
  return walk.ports.now().getTime() >= walk.until;
}

function isFull(walk: Walk): boolean {
  return walk.started >= STEP_LIMITS.runsPerTick;
}

function note(walk: Walk, rule: Rule, error: PromoterError): void {
  const { code, message } = describeError(error);
  const text = `rule ${rule.name}: ${code}: ${message}`.slice(0, STEP_LIMITS.problemCharacters);
  walk.call.progress.text(text);
  if (walk.problems.length < STEP_LIMITS.problems) walk.problems.push(text);
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
    const baseline = rule.existing === 'ignore' ? await readBaseline(walk.ports, rule, walk.call.signal) : undefined;
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
    note(walk, rule, error);
  }
  return firstRule(rules, rule.name);
}

/** Looks at a repository's tags, from `last` on; @returns the tag at which time was over. */
async function walkRepository(
  walk: Walk,
  rule: Rule,
  repository: string,
  last: string | undefined,
  baseline: Baseline,
): Promise<string | undefined> {
  const { signal } = walk.call;
  let batch: TagDetails[] = [];
  try {
    const listing = tagsOf(walk.ports, rule, repository, { signal, ...(last !== undefined && { last }) });
    for await (const listed of listing) {
      batch.push(listed);
      if (batch.length < BATCH) continue;
      await lookAtAll(walk, rule, repository, batch, baseline);
      batch = [];
      if (isFull(walk)) return undefined;
      if (isOver(walk)) return listed.name;
    }
    await lookAtAll(walk, rule, repository, batch, baseline);
  } catch (error) {
    // This repository may not be read, or is malformed; a registry that is down ends the rule.
    const itsOwn = error instanceof RegistryError || error instanceof InputError;
    if (!itsOwn || error.transient) throw error;
    note(walk, rule, error);
  }
  return undefined;
}

/** Tags that are looked at side by side. */
const BATCH = 16;

async function lookAtAll(
  walk: Walk,
  rule: Rule,
  repository: string,
  tags: readonly TagDetails[],
  baseline: Baseline,
): Promise<void> {
  await Promise.all(
    tags.map((listed) =>
      lookAt(walk, rule, { registry: rule.source.registry, repository, tag: listed.name }, listed.digest, baseline),
    ),
  );
}

async function lookAt(walk: Walk, rule: Rule, name: TagName, digest: string, baseline: Baseline): Promise<void> {
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
  if (decision === 'leave' && !(row !== undefined && (await isFreeAgain(walk, rule, name, row)))) return;
  if (decision === 'compare' && row !== undefined) {
    const { registry, repository, tag = '' } = parseReference(row.destination);
    const standing = await resolveTag(ports, { registry, repository, tag }, call.signal);
    if (standing?.digest === digest) return;
  }
  // Paused, it would be wanted once more at each tick: what is lacking is seen again when that is lifted.
  if (ports.paused || isFull(walk)) return;
  walk.started += 1;
  try {
    await raiseWanted(ports, rule, name, { kind: 'schedule' });
  } catch (error) {
    // No destination can be made of this name.
    if (!(error instanceof InputError)) throw error;
    walk.started -= 1;
    note(walk, rule, error);
  }
}

/** True where the destination belonged to another rule when this was refused, and does so no longer. */
async function isFreeAgain(walk: Walk, rule: Rule, name: TagName, row: PromotionRow): Promise<boolean> {
  if (row.runOpen || row.last?.code !== 'DESTINATION_TAKEN') return false;
  const { id, destination } = row;
  return isDestinationFree(walk.ports, { promotionId: id, rule, source: name, destination });
}
