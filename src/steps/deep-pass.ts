import { z } from 'zod';
import { InputError, TransportError, describeError, parseReference, rememberReads } from '../oci/index.js';
import type { Rule } from '../promotion/rule.js';
import { standingRule } from '../promotion/standing-rule.js';
import { raiseWanted } from '../runs/promotion-runs.js';
import type { Page } from '../runs/ports.js';
import type { PromotionRow } from '../runs/rows.js';
import { classifyGraph } from './classify.js';
import { CountedRegistries } from './counted-registries.js';
import { attachedAt, attachmentDifferences, graphDifferences, isAllListed } from './differences.js';
import { signaturesHash } from './our-signature.js';
import { STEP_LIMITS } from './limits.js';
import { isFull, isOver, noteProblem, type Walk } from './walk.js';
import { within } from './within.js';

/** Where the pass goes on at the next tick: a page of the promotions' list, and how many of its rows are done. */
const NOTE = 'deep-pass';
const cursorSchema = z.object({
  from: z.string().optional(),
  done: z.int().min(0),
  /** By registry: what earlier ticks asked beyond their budget. */
  owed: z.record(z.string(), z.number().min(0)).default({}),
});
type Cursor = z.infer<typeof cursorSchema>;

/** What the pass may still ask of each registry. */
class Budget {
  readonly counted: CountedRegistries;
  readonly #walk: Walk;
  /** What the dearest promotion so far has cost. */
  #dearest = 0;
  readonly #owed: Cursor['owed'];

  constructor(walk: Walk, owed: Cursor['owed']) {
    this.#owed = owed;
    this.#walk = walk;
    this.counted = new CountedRegistries(walk.ports.registries);
  }

  /** Half of what the registry allows in a minute, for a tick that comes every few: the runs need the rest. */
  #most(registry: string): number {
    const perMinute = this.#walk.ports.listing.registry(registry).requestsPerMinute();
    if (perMinute === undefined) return STEP_LIMITS.deepPassRequests;
    return Math.min(Math.floor(perMinute / 2), STEP_LIMITS.mostDeepPassRequests);
  }

  /** One promotion is looked at in any case, once nothing is owed: a pass always gets on. */
  allows(registries: readonly string[]): boolean {
    return registries.every((registry) => {
      const spent = this.#spent(registry);
      return spent === 0 || spent + this.#dearest <= this.#most(registry);
    });
  }

  #spent(registry: string): number {
    return (this.#owed[registry] ?? 0) + this.counted.calls(registry);
  }

  /** What the ticks to come have to pay back; each pays something. */
  owed(registries: Iterable<string>): Cursor['owed'] {
    const all = [...new Set([...Object.keys(this.#owed), ...registries])];
    const owed = all.map((name) => [name, this.#spent(name) - Math.max(1, this.#most(name))] as const);
    return Object.fromEntries(owed.filter(([, calls]) => calls > 0));
  }

  /** @returns what `look` does, whose requests are what the next one may cost */
  async watch<T>(registries: readonly string[], look: () => Promise<T>): Promise<T> {
    const spent = (): number[] => registries.map((registry) => this.counted.calls(registry));
    const before = spent();
    try {
      return await look();
    } finally {
      const cost = spent().map((calls, index) => calls - (before[index] ?? 0));
      this.#dearest = Math.max(this.#dearest, ...cost);
    }
  }
}

/**
 * The schedule's second pass: compares the graphs of promotions that are in sync, referrers and all, looks whether our SBOMs and
 * signatures are still there, and whether those that were refused for missing evidence have got any. It moves on with a saved
 * cursor, as far as time and the registries' limits allow: what no event told of is found within some ticks.
 * @returns how many promotions were raised
 */
export async function deepPass(walk: Walk, rules: readonly Rule[]): Promise<number> {
  const { store, paused } = walk.ports;
  if (paused) return 0;
  const note = await store.getNote(NOTE);
  const cursor = parseCursor(note?.value);
  const page = await pageFrom(walk, cursor);
  const budget = new Budget(walk, cursor.owed);
  const asked = new Set<string>();
  let { done } = cursor;
  let raised = 0;
  for (const row of page.items.slice(done)) {
    const rule = standingRule(rules, row.rule, row.source);
    const registries = [...new Set([row.source.registry, parseReference(row.destination).registry])];
    if (rule !== undefined && isOfInterest(row)) {
      if (!budget.allows(registries) || isOver(walk) || isFull(walk)) break;
      for (const registry of registries) asked.add(registry);
      const differs = await budget.watch(registries, () => isWorthARun(walk, budget.counted, rule, row));
      if (differs) {
        await raiseWanted(walk.ports, rule, row.source, { kind: 'schedule' });
        walk.started += 1;
        raised += 1;
      }
    }
    done += 1;
  }
  const owed = budget.owed(asked);
  const next: Cursor =
    done < page.items.length
      ? { ...cursor, done, owed }
      : { done: 0, owed, ...(page.next !== undefined && { from: page.next }) };
  // Where another tick was faster, its cursor is as good as ours.
  await store.putNote(NOTE, JSON.stringify(next), note?.version);
  return raised;
}

/** A cursor of another version: from the start again. */
function parseCursor(text: string | undefined): Cursor {
  try {
    return cursorSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return { done: 0, owed: {} };
  }
}

async function pageFrom(walk: Walk, { from }: Cursor): Promise<Page<PromotionRow>> {
  const size = STEP_LIMITS.deepPassPage;
  try {
    return await walk.ports.store.listPromotions({ size, ...(from !== undefined && { from }) });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return walk.ports.store.listPromotions({ size });
  }
}

/** One with a code is in sync with nothing: its tag names a referrer. */
function isOfInterest({ state, last }: PromotionRow): boolean {
  return (
    (state === 'refused' && last?.code === 'EVIDENCE_MISSING') || (state === 'in_sync' && last?.code === undefined)
  );
}

/** In sync and yet different, or refused for evidence that has changed since. */
async function isWorthARun(walk: Walk, counted: CountedRegistries, rule: Rule, row: PromotionRow): Promise<boolean> {
  const { signal, progress } = walk.call;
  try {
    return await within(signal, STEP_LIMITS.deepPassRowMs, row.destination, (bound) =>
      row.state === 'refused' ? hasNewEvidence(counted, row, bound) : differs(walk, counted, rule, row, bound),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TransportError && error.code === 'TIMEOUT') noteProblem(walk, rule, error);
    // A tag that is gone, a registry that is down: the next look comes.
    const { code, message } = describeError(error);
    progress.text(`${row.destination}: ${code}: ${message}`);
    return false;
  }
}

async function hasNewEvidence(
  counted: CountedRegistries,
  { source: { registry, repository, tag }, last }: PromotionRow,
  signal: AbortSignal,
): Promise<boolean> {
  const source = counted.repository(registry, repository);
  const root = await source.resolve(tag, { signal });
  return (await signaturesHash(source, root, signal)) !== last?.evidence;
}

async function differs(
  walk: Walk,
  counted: CountedRegistries,
  rule: Rule,
  row: PromotionRow,
  signal: AbortSignal,
): Promise<boolean> {
  const to = parseReference(row.destination);
  const source = rememberReads(counted.repository(row.source.registry, row.source.repository));
  const destination = rememberReads(counted.repository(to.registry, to.repository));
  const root = await source.resolve(row.source.tag, { signal });
  if ((await graphDifferences(rule, source, destination, root, signal)).length > 0) return true;
  const { images } = await classifyGraph(source, root, signal);
  const at = {
    ...attachedAt(rule, row.source, row.destination),
    content: rule.attachTo === 'source' ? source : destination,
  };
  if (await isAllListed(walk.ports, rule, at, images, signal)) return false;
  return (await attachmentDifferences(walk.ports, rule, at, images, signal)).length > 0;
}
